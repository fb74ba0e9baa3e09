"""The command line: verbs, help and exit status; `compose` is the only module that imports Hydra."""

from fedner.cli.main import main

__all__ = ["main"]
