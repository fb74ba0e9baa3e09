"""`fedner config`: the configuration as it resolves, and every key of it."""

import json
import sys
from argparse import Namespace
from pathlib import Path

import yaml

from fedner.cli.compose import run_composed
from fedner.cli.options import composed_words
from fedner.cli.reference import reference
from fedner.config import Config, dumps, to_plain


def config(options: Namespace) -> None:
    """`fedner config`."""
    run_composed("config", composed_words(options), lambda config: print(_written(config, options.form), end=""))


def keys(_options: Namespace) -> None:
    """`fedner config --keys`."""
    sys.stdout.write(reference())


def _written(config: Config, form: str | None) -> str:
    if form == "json":
        return dumps(config) + "\n"
    if form == "toml":
        # JSON strings are TOML strings too, but for characters that JSON may leave as they are.
        return f"config = {json.dumps(dumps(config))}\nfolder = {json.dumps(str(Path.cwd()))}\n"
    return yaml.safe_dump(to_plain(config), sort_keys=False)
