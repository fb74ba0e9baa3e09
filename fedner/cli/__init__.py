"""The command line: verbs, help and exit status.

`main` finds a verb's parser in arguments/ and, once the options are read, its work in verbs/; `compose` is the only
module that imports Hydra.
"""

from fedner.cli.main import main

__all__ = ["main"]
