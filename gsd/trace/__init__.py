"""The trace: recording a run, and reading it back. No torch."""
