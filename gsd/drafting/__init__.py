"""What is proposed: the token graph, how it grows, and what is asked to grow it."""
