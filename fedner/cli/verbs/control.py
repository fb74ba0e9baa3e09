"""Verbs of the coordinator at a running server: submit, logs, stop, fetch, connect."""

import json
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from fedner.cli.compose import run_composed
from fedner.cli.console import print_json, stderr
from fedner.cli.options import option_parser
from fedner.config import Config
from fedner.errors import ConfigError, FederationError

if TYPE_CHECKING:
    from fedner.deployment.control.client import Control
    from fedner.deployment.provisioning.kit import Kit


def submit(arguments: list[str]) -> None:
    """`fedner submit`."""
    parser = _parser(
        "submit",
        "Start a run at the sites; overrides are those of `fedner simulate`, the data is each site's own.",
        "fedner submit kits/nord/coordinator model=minilm federation.rounds=10 name=first",
    )
    parser.add_argument("overrides", nargs="*", help="GROUP=OPTION, GROUP.KEY=VALUE")
    parser.add_argument("--resume", metavar="RUN", help="go on with a run after its last whole round")
    parser.add_argument("--follow", action="store_true", help="print the run's log until it ends")
    parser.add_argument("--toml", action="store_true", help="start nothing; print a file for `flwr run --run-config`")
    options = parser.parse_intermixed_args(arguments)
    with _connected(options) as (kit, control):
        for config in _composed(options, kit, control):
            if options.toml:
                # JSON strings and truth values are TOML's, too.
                told = control.run_config(config, resume=options.resume is not None)
                print("".join(f"{key} = {json.dumps(value)}\n" for key, value in told.items()), end="")
                continue
            number = control.submit(config, resume=options.resume is not None)
            told = {"run": config.name, "number": number, "sites": config.federation.min_sites}
            print_json(told) if options.json else print(f"run {config.name} is number {number}")
            if options.follow:
                _print_log(control, number)


def _composed(options: Namespace, kit: "Kit", control: "Control") -> list[Config]:
    from fedner.deployment.control.submission import OVERRIDES, for_sites

    any_number = any(override.startswith("federation.min_sites=") for override in options.overrides)
    configs: list[Config] = []
    with tempfile.TemporaryDirectory() as folder:
        start: Sequence[str] = OVERRIDES
        if options.resume is not None:
            (Path(folder) / "config.yaml").write_bytes(control.read(options.resume, "config.yaml"))
            start, any_number = ("--from", folder), True
        run_composed("submit", [*start, *options.overrides], configs.append)
    return [for_sites(config, kit, any_number) for config in configs]


def logs(arguments: list[str]) -> None:
    """`fedner logs`."""
    parser = _parser("logs", "Print what a run logs, until it ends.", "fedner logs kits/nord/coordinator first")
    parser.add_argument("run", help="name or number of the run")
    options = parser.parse_args(arguments)
    with _connected(options) as (_, control):
        _print_log(control, _number(control, options.run))


def _print_log(control: "Control", number: int) -> None:
    for text in control.logs(number):
        print(text, end="", flush=True)


def stop(arguments: list[str]) -> None:
    """`fedner stop`."""
    parser = _parser("stop", "Stop a run; whole rounds are kept.", "fedner stop kits/nord/coordinator first")
    parser.add_argument("run", help="name or number of the run")
    options = parser.parse_args(arguments)
    with _connected(options) as (_, control):
        if not control.stop(_number(control, options.run)):
            raise FederationError(f"run {options.run} could not be stopped; `fedner status` says how it stands")
    print(f"run {options.run} is stopped; `fedner submit KIT --resume {options.run}` goes on with it")


def fetch(arguments: list[str]) -> None:
    """`fedner fetch`."""
    parser = _parser(
        "fetch",
        "Copy a run's model, history and result to this machine and write its report.",
        "fedner fetch kits/nord/coordinator first",
    )
    parser.add_argument("run", help="name of the run")
    parser.add_argument(
        "--output", type=Path, default=Path("runs"), help="folder for the run directory (default: runs)"
    )
    options = parser.parse_args(arguments)
    directory = options.output / options.run
    with _connected(options) as (_, control):
        files = control.fetch(options.run, directory)
    size = sum(file.size for file in files)
    stderr().print(f"{directory}: {len(files)} files, {size:,} bytes", markup=False, soft_wrap=True)
    if (directory / "result.json").exists():
        from fedner import experiments

        experiments.report(directory)
        print(directory / "report" / "index.html")
    else:
        stderr().print("the run is not finished, so there is no model and no report yet", markup=False)


def _number(control: "Control", run: str) -> int:
    """Return Flower's number of a run that is named so; of several, as resumed ones are, the newest."""
    submitted = control.submitted()
    for one in submitted:
        if run in (one.name, str(one.number)):
            return one.number
    names = ", ".join(dict.fromkeys(one.name for one in submitted if one.name)) or "none"
    raise ConfigError(f"expected a run of this server, got '{run}'; it has {names}")


def _parser(verb: str, what: str, example: str) -> ArgumentParser:
    parser = option_parser(verb, what, example)
    parser.add_argument("kit", type=Path, help="the coordinator's kit")
    parser.add_argument(
        "--at", metavar="HOST:PORT", help="where the control listener is reached, if not as the kit says"
    )
    parser.add_argument("--json", action="store_true", help="lines of JSON")
    return parser


def _connected(options: Namespace) -> "AbstractContextManager[tuple[Kit, Control]]":
    from contextlib import contextmanager

    from fedner.deployment.control.client import connected
    from fedner.deployment.provisioning.kit import read_kit

    @contextmanager
    def opened():
        kit = read_kit(options.kit)
        with connected(kit, options.at) as control:
            yield kit, control

    return opened()


def connect(arguments: list[str]) -> None:
    """`fedner connect`."""
    parser = _parser(
        "connect",
        "Let Flower's own command line speak to the server: flwr run, flwr ls, flwr log, flwr stop.",
        "fedner connect kits/nord/coordinator && flwr ls nord",
    )
    parser.add_argument("--app", type=Path, default=Path("fedner-app"), help="folder for the app that `flwr run` names")
    options = parser.parse_args(arguments)
    from fedner.deployment.control.flower_cli import connect_flower
    from fedner.deployment.provisioning.kit import read_kit

    name = connect_flower(read_kit(options.kit), options.at, options.app)
    print(f"flwr run {options.app} {name} --run-config run.toml; flwr ls {name}")
