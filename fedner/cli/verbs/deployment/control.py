"""Verbs of the coordinator at a running server: submit, logs, stop, connect; fetch.py has fetch."""

import json
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fedner.cli.compose import run_composed
from fedner.cli.console import print_json
from fedner.config import Config
from fedner.deployment.control.client import Control, connected
from fedner.deployment.control.flower_cli import connect_flower
from fedner.deployment.control.submission import OVERRIDES, for_sites
from fedner.deployment.provisioning.kit import Kit, read_kit
from fedner.errors import ConfigError, FederationError


@contextmanager
def at_server(options: Namespace) -> Iterator[tuple[Kit, Control]]:
    """Connect to the server of the kit that the options name."""
    kit = read_kit(options.kit)
    with connected(kit, options.at) as control:
        yield kit, control


def submit(options: Namespace) -> None:
    """`fedner submit`."""
    with at_server(options) as (kit, control):
        for config in _composed(options, kit, control):
            if options.toml:
                # JSON strings and truth values are TOML's, too.
                values = control.run_config(config, resume=options.resume is not None)
                print("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()), end="")
                continue
            number = control.submit(config, resume=options.resume is not None)
            submitted = {"run": config.name, "number": number, "sites": config.federation.min_sites}
            print_json(submitted) if options.json else print(f"run {config.name} is number {number}")
            if options.follow:
                _print_log(control, number)


def _composed(options: Namespace, kit: Kit, control: Control) -> list[Config]:
    any_number = any(override.startswith("federation.min_sites=") for override in options.overrides)
    configs: list[Config] = []
    with tempfile.TemporaryDirectory() as folder:
        start: Sequence[str] = OVERRIDES
        if options.resume is not None:
            (Path(folder) / "config.yaml").write_bytes(control.read(options.resume, "config.yaml"))
            start, any_number = ("--from", folder), True
        run_composed("submit", [*start, *options.overrides], configs.append)
    return [for_sites(config, kit, any_number) for config in configs]


def logs(options: Namespace) -> None:
    """`fedner logs`."""
    with at_server(options) as (_, control):
        _print_log(control, _number(control, options.name))


def _print_log(control: Control, number: int) -> None:
    for text in control.logs(number):
        print(text, end="", flush=True)


def stop(options: Namespace) -> None:
    """`fedner stop`."""
    with at_server(options) as (_, control):
        if not control.stop(_number(control, options.name)):
            raise FederationError(f"run {options.name} could not be stopped; `fedner status` says how it stands")
    print(f"run {options.name} is stopped; `fedner submit KIT --resume {options.name}` continues it")


def _number(control: Control, run: str) -> int:
    """Return Flower's number of a run that is named so; of several, as resumed ones are, the newest."""
    submitted = control.submitted()
    for one in submitted:
        if run in (one.name, str(one.number)):
            return one.number
    names = ", ".join(dict.fromkeys(one.name for one in submitted if one.name)) or "none"
    raise ConfigError(f"expected a run of this server, got '{run}'; it has {names}")


def connect(options: Namespace) -> None:
    """`fedner connect`."""
    name = connect_flower(read_kit(options.kit), options.at, options.app)
    print(f"flwr run {options.app} {name} --run-config run.toml; flwr ls {name}")
