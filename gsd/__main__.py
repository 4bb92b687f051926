"""`python -m gsd`: the command line."""

import sys

from gsd.cli import main

if __name__ == "__main__":
    sys.exit(main())
