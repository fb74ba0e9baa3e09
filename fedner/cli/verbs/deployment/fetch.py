"""`fedner fetch`."""

from argparse import Namespace

from fedner import experiments
from fedner.cli.console import stderr
from fedner.cli.verbs.deployment.control import at_server


def fetch(options: Namespace) -> None:
    """`fedner fetch`."""
    directory = options.output / options.name
    with at_server(options) as (_, control):
        files = control.fetch(options.name, directory)
    size = sum(file.size for file in files)
    stderr().print(f"{directory}: {len(files)} files, {size:,} bytes", markup=False, soft_wrap=True)
    if (directory / "result.json").exists():
        experiments.report(directory)
        print(directory / "report" / "index.html")
    else:
        stderr().print("the run is not finished, so there is no model and no report yet", markup=False)
