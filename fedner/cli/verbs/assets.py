"""`fedner assets`: the embedded encoder and corpus."""

from argparse import Namespace

from fedner import assets as embedded
from fedner.cli.console import print_json


def assets(options: Namespace) -> None:
    """`fedner assets`."""
    if options.action == "fetch":
        embedded.ensure_model()
        embedded.ensure_corpus()
    found = embedded.verify() if options.action == "verify" else embedded.status()
    if options.json:
        entries = [{"name": each.name, "state": each.state.value, "directory": str(each.directory)} for each in found]
        print_json(entries)
        return
    for each in found:
        print(f"{each.name:<10} {each.state.value:<8} {each.num_bytes / 1e6:7.1f} MB  {each.directory}")
        for problem in each.problems:
            print(f"           {problem}")
        print(f"           {each.notice}")
