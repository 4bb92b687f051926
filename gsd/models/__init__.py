"""Target and draft models. Import the submodules: this package itself loads no torch."""
