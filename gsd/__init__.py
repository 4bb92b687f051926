"""Graph-structured speculative decoding: an engine that decodes, and logs why."""

__version__ = "0.1.0"
