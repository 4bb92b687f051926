"""Drafting: the token graph, how it grows, and the drafters that grow it."""
