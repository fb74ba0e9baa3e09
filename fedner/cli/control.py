"""Verbs of the coordinator at a running server: submit, status, logs, stop, fetch, connect."""

import json
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fedner.cli.compose import run_composed
from fedner.cli.console import print_json, stderr
from fedner.cli.models import option_parser
from fedner.config import Config
from fedner.errors import ConfigError, FederationError

if TYPE_CHECKING:
    from fedner.sites.control import Control, SubmittedRun
    from fedner.sites.kit import Kit

FOLLOW_SECONDS = 2.0


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
    from fedner.sites.submission import OVERRIDES, for_sites

    any_number = any(override.startswith("federation.min_sites=") for override in options.overrides)
    configs: list[Config] = []
    with tempfile.TemporaryDirectory() as folder:
        start: Sequence[str] = OVERRIDES
        if options.resume is not None:
            (Path(folder) / "config.yaml").write_bytes(control.read(options.resume, "config.yaml"))
            start, any_number = ("--from", folder), True
        run_composed("submit", [*start, *options.overrides], configs.append)
    return [for_sites(config, kit, any_number) for config in configs]


def status(arguments: list[str]) -> None:
    """`fedner status`."""
    parser = _parser("status", "Show a server's sites and runs.", "fedner status kits/nord/coordinator --follow")
    parser.add_argument("--follow", action="store_true", help="and then a line for everything that happens in a run")
    options = parser.parse_args(arguments)
    with _connected(options) as (_, control):
        submitted = control.submitted()
        _print_status(control, submitted, options.json)
        if options.follow:
            _follow(control, options.json)


def _print_status(control: "Control", submitted: "list[SubmittedRun]", as_json: bool) -> None:
    sites, runs = control.sites(), control.runs()
    if as_json:
        print_json(
            {
                "sites": [asdict(site) for site in sites],
                "runs": [asdict(run) for run in runs],
                "submitted": [asdict(run) for run in submitted],
            }
        )
        return
    for site in sites:
        seen = f"since {datetime.fromtimestamp(site.seen, UTC):%Y-%m-%d %H:%M} UTC" if site.seen else "never seen"
        print(f"site {site.name}: {'online' if site.online else f'offline, {seen}'}")
    newest = {run.name: run for run in reversed(submitted)}
    for run in runs:
        process = newest.pop(run.name, None)
        stands = "finished" if run.finished else process.status if process else "not running"
        print(f"run {run.name}: {stands}, {run.rounds} of {run.wanted} rounds")
    for name, process in newest.items():
        print(f"run {name or process.number}: {process.status}, no round yet {process.details}".rstrip())


def _follow(control: "Control", as_json: bool) -> None:
    """Print the events of runs as they come, until interrupted; a run that is finished is passed over."""
    told = {run.name: len(control.history(run.name)) for run in control.runs()}
    while True:
        for run in control.runs():
            events = control.history(run.name, told.get(run.name, 0))
            told[run.name] = told.get(run.name, 0) + len(events)
            for event in events:
                print_json({"run": run.name, **event}) if as_json else print(_event_line(run.name, event))
        sys.stdout.flush()
        time.sleep(FOLLOW_SECONDS)


def _event_line(run: str, event: dict[str, object]) -> str:
    plain = {key: value for key, value in event.items() if key not in ("time", "event") and value not in (None, "")}
    about = " ".join(f"{key}={value}" for key, value in plain.items() if isinstance(value, str | int | float))
    return f"{event['time']} {run}: {event['event']} {about}"


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
    raise ConfigError(f"wanted a run of this server, found '{run}'; it has {names}")


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

    from fedner.sites.control import connected
    from fedner.sites.kit import read_kit

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
    from fedner.sites.connection import connect_flower
    from fedner.sites.kit import read_kit

    name = connect_flower(read_kit(options.kit), options.at, options.app)
    print(f"flwr run {options.app} {name} --run-config run.toml; flwr ls {name}")
