"""`fedner status`: how a federation stands, once or as it goes on; a site sees the runs, and of sites itself alone."""

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.live import Live
from rich.text import Text

from fedner.cli.console import print_json, stderr, stdout
from fedner.deployment.control.client import Control, connected
from fedner.deployment.monitoring import phrases
from fedner.deployment.monitoring.credentials import viewing_token
from fedner.deployment.monitoring.site_client import BROWSER_VALIDITY, own_credential, watching_site
from fedner.deployment.monitoring.status import (
    RunProgress,
    RunView,
    SiteConnection,
    SiteInRun,
    Status,
    status_to_json,
)
from fedner.deployment.provisioning.keys import read_private
from fedner.deployment.provisioning.kit import Kit, Party, read_kit
from fedner.errors import ConfigError
from fedner.report import wording
from fedner.report.study import showable

FOLLOW_SECONDS = 2.0
ROUNDS_SHOWN = 10
"""Rounds of the newest run that the terminal shows; `--json` has all."""

Look = Callable[[], Status]
Events = Callable[[], list[dict[str, Any]]]


def status(options: Namespace) -> None:
    """`fedner status`."""
    kit = read_kit(options.kit)
    if options.password:
        _print_password(kit, options.key)
        return
    with _watching(kit, options) as (look, events):
        if options.json:
            _tell_machine(look, events, options.follow)
        elif options.follow and sys.stdout.isatty():
            _follow_on_screen(look, events)
        else:
            seen = look()
            print("\n".join(status_lines(seen)))
            if options.follow:
                _follow_in_lines(look, events, seen)


@contextmanager
def _watching(kit: Kit, options: Namespace) -> Iterator[tuple[Look, Events]]:
    """Open the connection that a kit's party has; give what looks, and what returns the events since it last did."""
    if kit.party is Party.site:
        with watching_site(kit, options.key or kit.site_key, options.at) as look:
            yield look, list
        return
    if options.key is not None:
        raise ConfigError(f"--key: expected with a site's kit alone, got with the {kit.party}'s")
    with connected(kit, options.at) as control:
        yield control.status, _NewEvents(control, options.follow)


class _NewEvents:
    """Returns the events of all runs since it was last asked, or since it was made."""

    def __init__(self, control: Control, follow: bool) -> None:
        self._control = control
        self._told = {run.name: len(control.history(run.name)) for run in control.runs()} if follow else {}

    def __call__(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for run in self._control.runs():
            events = self._control.history(run.name, self._told.get(run.name, 0))
            self._told[run.name] = self._told.get(run.name, 0) + len(events)
            found += [{"run": run.name, **event} for event in events]
        return found


def _tell_machine(look: Look, events: Events, follow: bool) -> None:
    """Print the status; then every event, and for a site, which is told none, the status whenever it is another."""
    seen = look()
    print_json(status_to_json(seen))
    while follow:
        sys.stdout.flush()
        time.sleep(FOLLOW_SECONDS)
        for event in events():
            print_json(event)
        before, seen = seen, look()
        if seen.viewer is not None and _lasting(seen) != _lasting(before):
            print_json(status_to_json(seen))


def _follow_on_screen(look: Look, events: Events) -> None:
    """Keep the status in its place, and let what happens pass above it."""
    console = stdout()
    with Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as screen:
        while True:
            for event in events():
                console.print(_event_line(event), markup=False, soft_wrap=True)
            screen.update(Text("\n".join(status_lines(look()))), refresh=True)
            time.sleep(FOLLOW_SECONDS)


def _follow_in_lines(look: Look, events: Events, seen: Status) -> None:
    """Print a line for every event, and one for each run that stands otherwise than before."""
    while True:
        sys.stdout.flush()
        time.sleep(FOLLOW_SECONDS)
        for event in events():
            print(_event_line(event))
        before, seen = {run.progress.name: _lasting_run(run) for run in seen.runs}, look()
        for run in reversed(seen.runs):
            if before.get(run.progress.name) != _lasting_run(run):
                print(_run_line(run.progress))


def _lasting(status: Status) -> Status:
    """Return a status without what changes though nothing happens."""
    sites = tuple(replace(site, seen=None) for site in status.sites)
    return replace(status, moment="", sites=sites, runs=tuple(map(_lasting_run, status.runs)))


def _lasting_run(run: RunView) -> RunView:
    return replace(run, progress=replace(run.progress, seconds_left=None))


def status_lines(status: Status) -> list[str]:
    """Return what the terminal shows: the runs, the rounds of the newest, the sites, and what went wrong."""
    whose = f" as site {status.viewer} sees it" if status.viewer else ""
    lines = [f"federation {status.federation}{whose}: {status.online} of {status.registered} sites online"]
    lines += [_run_line(run.progress) for run in reversed(status.runs)]
    newest = status.runs[0] if status.runs else None
    if newest is not None:
        lines += [f"  {phrases.round_words(entry)}" for entry in newest.progress.rounds[-ROUNDS_SHOWN:]]
    connections = {site.name: site for site in status.sites}
    at_work = {site.name: site for site in newest.sites} if newest is not None else {}
    for name in sorted(connections.keys() | at_work.keys()):
        said = _connection_words(connections.get(name), status.moment) + _work_words(at_work.get(name))
        lines.append(f"site {name}: {'; '.join(said)}")
    if newest is not None:
        lines += [f"run {newest.progress.name}: {note}" for note in newest.notes[-ROUNDS_SHOWN:]]
    return [_printable(line) for line in lines]


def _run_line(progress: RunProgress) -> str:
    said = [phrases.headline(progress), phrases.scores(progress), phrases.time_left(progress)]
    return _printable(f"run {progress.name}: {'; '.join(each for each in said if each)}")


def _connection_words(site: SiteConnection | None, moment: str) -> list[str]:
    if site is None:
        return ["not registered any more"]
    return [f"{phrases.connected(site)}, {phrases.last_seen(site, moment)}"]


def _work_words(site: SiteInRun | None) -> list[str]:
    if site is None:
        return []
    said = [phrases.at_work(site)]
    said += [f"last counted in round {site.counted}"] if site.counted is not None else []
    if site.refusals:
        last = site.refusals[-1]
        number = wording.counted(site.num_refusals, "refusal")
        said.append(f"{number}, the last in round {last.round} ({last.phase}): {last.reason}")
    return said + ([f"test F1 {wording.score(site.test_f1)}"] if site.test_f1 is not None else [])


def _event_line(event: dict[str, Any]) -> str:
    plain = {
        key: value for key, value in event.items() if key not in ("run", "time", "event") and value not in (None, "")
    }
    about = " ".join(f"{key}={value}" for key, value in plain.items() if isinstance(value, str | int | float))
    return _printable(f"{event['time']} {event['run']}: {event['event']} {about}")


def _printable(line: str) -> str:
    """Return a line in which nothing can drive the terminal: reasons come from sites, and those from anybody."""
    return showable(" ".join(line.splitlines()))


def _print_password(kit: Kit, key: Path | None) -> None:
    """Print what lets a browser see the page, and on stderr what to do with it."""
    if kit.party is Party.site:
        print(own_credential(kit, read_private(key or kit.site_key), BROWSER_VALIDITY))
        holds = f"for {BROWSER_VALIDITY.total_seconds() / 3600:.0f} hours, for this site's view"
    else:
        print(viewing_token(kit))
        holds = "until the server's key is replaced, for the coordinator's view; it can do nothing but look"
    told = (
        f"any user name, and this password, at https://{kit.host} and the port of `fedner server --web`; holds {holds}"
    )
    stderr().print(told, markup=False, soft_wrap=True)
