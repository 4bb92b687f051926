"""Work with many runs: benchmarks, atlases, cost curves, sweeps."""
