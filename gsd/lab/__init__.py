"""What is done with many runs: measuring, probing, sweeping."""
