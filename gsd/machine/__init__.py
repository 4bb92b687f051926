"""What the engine runs on: the processor, who else wants it, and where things are kept."""
