"""The tiny model pair that comes with the package, and everything that made it."""
