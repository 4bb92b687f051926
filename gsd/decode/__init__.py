"""The loop, and the one way into it."""
