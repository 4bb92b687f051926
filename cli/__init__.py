"""The command line, the top floor: one file per family of commands."""
