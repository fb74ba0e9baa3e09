"""`fedner report`."""

from argparse import Namespace

from fedner import experiments
from fedner.cli.console import stdout
from fedner.report import print_summary, read_study


def report(options: Namespace) -> None:
    """`fedner report`."""
    experiments.report(options.directory)
    print_summary(read_study(options.directory), stdout())
