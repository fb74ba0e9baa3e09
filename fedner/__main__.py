"""`python -m fedner`."""

import sys

from fedner.cli import main

if __name__ == "__main__":
    sys.exit(main())
