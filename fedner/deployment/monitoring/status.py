"""The status of a federation, as types: the same for the terminal, the page and machines.

`RunProgress` describes a run as a whole and names no site, so that every party may see it. Details of single sites
stand beside it; `seen_by` removes those that are not the viewer's own.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from fedner.errors import FederationError

SCHEMA = 1


class Phase(StrEnum):
    """The phase of a run, as its history names it."""

    hello = "hello"
    """Sites are called together or waited for: before the first round and between two."""
    train = "train"
    dev = "dev"
    test = "test"
    done = "done"


class Doing(StrEnum):
    """The activity of a site in a run."""

    waiting = "waiting"
    """It takes part and has nothing to do."""
    working = "working"
    """It was asked and has not answered."""
    answered = "answered"
    """Its answer counts."""
    refused = "refused"
    """Its answer does not count, or it may not take part."""
    suspended = "suspended"
    """It is not asked for training any more."""
    away = "away"
    """It left, or has not come back since the run was resumed."""


@dataclass(frozen=True, kw_only=True)
class RoundSummary:
    """A whole round: pooled scores, wall time, and how many sites' training counted."""

    round: int
    dev_f1: float | None
    train_loss: float | None
    seconds: float
    sites: int


@dataclass(frozen=True, kw_only=True)
class RunProgress:
    """How far a run is, in figures over all its sites; `round` is the running one, or the last.

    `status` is `finished`, what Flower says of the run's process (running, failed, stopped, …), or `not running`.
    `sites` take part now; `asked` and `answered` are how many of them the present phase waits for, and how many of
    those have an answer that counts.
    """

    name: str
    status: str
    phase: Phase
    round: int
    planned: int | None
    began: str | None
    rounds: tuple[RoundSummary, ...]
    best_round: int | None
    best_f1: float | None
    test_f1: float | None
    seconds_left: float | None
    sites: int
    asked: int
    answered: int


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An answer of a site that does not count, and why."""

    round: int
    phase: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class SiteInRun:
    """A site in a run: what it is at and since which round, and when its training last counted.

    `refusals` are the newest of `num_refusals`; `suspended` says why it is not asked any more.
    """

    name: str
    doing: Doing
    phase: Phase
    round: int
    counted: int | None
    num_refusals: int
    refusals: tuple[Refusal, ...]
    suspended: str | None
    test_f1: float | None


@dataclass(frozen=True, kw_only=True)
class RunView:
    """A run; `notes` say what went wrong with it as a whole, and may name sites."""

    progress: RunProgress
    sites: tuple[SiteInRun, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SiteConnection:
    """A registered site: is it connected, and when was it last heard of (null for never)."""

    name: str
    online: bool
    seen: str | None


@dataclass(frozen=True, kw_only=True)
class Status:
    """A federation at a moment, as `viewer` sees it, a site, or null for the coordinator; the newest run first.

    `registered` and `online` count sites, those that are not shown as well.
    """

    schema: int = SCHEMA
    federation: str
    moment: str
    viewer: str | None
    registered: int
    online: int
    sites: tuple[SiteConnection, ...]
    runs: tuple[RunView, ...]


def seen_by(status: Status, site: str | None) -> Status:
    """Return what a site may see of what the coordinator sees: the runs as a whole, and of sites itself alone."""
    if site is None:
        return status
    runs = (
        RunView(progress=run.progress, sites=tuple(each for each in run.sites if each.name == site))
        for run in status.runs
    )
    own = tuple(each for each in status.sites if each.name == site)
    return replace(status, viewer=site, sites=own, runs=tuple(runs))


def status_to_json(status: Status) -> dict[str, Any]:
    """Return what machines are given."""
    return asdict(status)


def read_status(plain: Mapping[str, Any]) -> Status:
    """Read what `status_to_json` returned.

    Raises:
        FederationError: another version wrote it.
    """
    try:
        return _status(plain)
    except (KeyError, TypeError, ValueError) as error:
        raise FederationError(
            f"the server tells of the runs in words that this fedner does not know ({type(error).__name__}: {error}); "
            "install the version that the server runs"
        ) from error


def _status(plain: Mapping[str, Any]) -> Status:
    if plain["schema"] != SCHEMA:
        raise ValueError(f"expected schema {SCHEMA}, got {plain['schema']}")
    sites = tuple(SiteConnection(**site) for site in plain["sites"])
    return Status(**{**plain, "sites": sites, "runs": tuple(_run(run) for run in plain["runs"])})


def _run(plain: Mapping[str, Any]) -> RunView:
    told = plain["progress"]
    rounds = tuple(RoundSummary(**entry) for entry in told["rounds"])
    progress = RunProgress(**{**told, "phase": Phase(told["phase"]), "rounds": rounds})
    return RunView(progress=progress, sites=tuple(map(_site, plain["sites"])), notes=tuple(plain["notes"]))


def _site(plain: Mapping[str, Any]) -> SiteInRun:
    refusals = tuple(Refusal(**refusal) for refusal in plain["refusals"])
    return SiteInRun(**{**plain, "doing": Doing(plain["doing"]), "phase": Phase(plain["phase"]), "refusals": refusals})
