"""Decoding: the loop, and the runner around it."""
