"""A history written by hand: three sites, five rounds planned, in the middle of the third; and what Flower knows."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fedner.deployment.monitoring.run_state import History
from fedner.deployment.monitoring.status import RunView, SiteConnection, Status
from fedner.records.events import (
    Event,
    QuorumMissed,
    ReplyAccepted,
    ReplyRefused,
    RoundAggregated,
    RoundEvaluated,
    RoundStarted,
    RunFinished,
    RunStarted,
    SiteJoined,
    SiteRefused,
    SiteSuspended,
)

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DIVERGED = "diverged: the training loss is not finite"


def line(seconds: float, event: Event) -> dict[str, Any]:
    """Return an event as history.jsonl has it, so many seconds after the start."""
    return json.loads(
        json.dumps({"time": (START + timedelta(seconds=seconds)).isoformat(), "event": event.event, **asdict(event)})
    )


def joined(site: str, *declines: str) -> SiteJoined:
    return SiteJoined(site=site, train_sentences=9, dev_sentences=3, test_sentences=3, declines=declines)


def started(number: int, *sites: str) -> RoundStarted:
    return RoundStarted(round=number, rounds=5, sites=sites)


def accepted(number: int, site: str) -> ReplyAccepted:
    return ReplyAccepted(
        round=number, site=site, examples=9, weight=9.0, loss=0.5, steps=1, norm=1.0, seconds=4.0
    )  # fmt: skip


def aggregated(number: int, *sites: str) -> RoundAggregated:
    return RoundAggregated(round=number, sites=sites, train_loss=0.5, state="5b1e")


def evaluated(number: int, f1: float, seconds: float, *sites: str, rounds: int = 5) -> RoundEvaluated:
    return RoundEvaluated(
        round=number, rounds=rounds, dev_f1=f1, dev_precision=f1, dev_recall=f1, dev_types={}, public_dev_f1=None,
        best=True, best_round=1 if f1 < 0.6 else number, best_f1=max(f1, 0.6), train_loss=0.5, seconds=seconds,
        bytes_up=0, bytes_down=0, weights=dict.fromkeys(sites, 9.0), missing={}, refused={}, withheld={},
    )  # fmt: skip


def half_way(north: str = "north", south: str = "south", east: str = "east") -> list[dict[str, Any]]:
    """East diverges twice and is suspended; in round 3, north has trained and south has not. East keeps dev scores."""
    return [
        line(0, RunStarted(run="first", seed=0, rounds=5, contract="1f0c")),
        line(1, joined(north)), line(1, joined(south)), line(1, joined(east, "dev")),
        line(2, SiteRefused(round=0, site="", reason=f"a node calls itself '{south}', but has the key of '{east}'")),
        line(10, started(1, north, south, east)),
        line(20, accepted(1, north)), line(21, accepted(1, south)),
        line(22, ReplyRefused(round=1, phase="train", site=east, reason=DIVERGED)),
        line(30, aggregated(1, north, south)),
        line(40, evaluated(1, 0.6, 30.0, north, south)),
        line(41, started(2, north, south, east)),
        line(50, accepted(2, north)),
        line(51, ReplyRefused(round=2, phase="train", site=east, reason=DIVERGED)),
        line(52, ReplyRefused(round=2, phase="train", site=south, reason="silent: no answer within 10 s")),
        line(53, QuorumMissed(round=2, reason=f"round 2: expected 2, got 1 ({south}: silent)", then="retry")),
        line(54, started(2, north, south, east)),
        line(60, accepted(2, north)), line(61, accepted(2, south)),
        line(70, aggregated(2, north, south)),
        line(101, evaluated(2, 0.5, 60.0, north, south)),
        line(101, SiteSuspended(round=3, site=east, reason=DIVERGED)),
        line(110, started(3, north, south)),
        line(115, accepted(3, north)),
    ]  # fmt: skip


def finished(north: str, south: str) -> list[dict[str, Any]]:
    """How the run goes on and ends."""
    tests = {north: 0.7, south: 0.5}
    return [
        line(116, accepted(3, south)),
        line(117, aggregated(3, north, south)),
        line(130, evaluated(3, 0.7, 20.0, north, south, rounds=3)),
        line(140, RunFinished(rounds=3, best_round=3, test_f1=0.65, test_precision=0.6, test_recall=0.7,
                              test_sites=tests, withheld={}, state="c1bf", seconds=140.0)),
    ]  # fmt: skip


def run_view(lines: list[dict[str, Any]], seconds: float = 120.0, process: str | None = "running") -> RunView:
    history = History("first")
    for each in lines:
        history.take(each)
    return history.view(False, process, "", START + timedelta(seconds=seconds))


def status(*runs: RunView, north: str = "north", south: str = "south", east: str = "east") -> Status:
    moment = (START + timedelta(seconds=120)).isoformat(timespec="seconds")
    seen = (START + timedelta(seconds=108)).isoformat(timespec="seconds")
    sites = (
        SiteConnection(name=east, online=False, seen=None),
        SiteConnection(name=north, online=True, seen=seen),
        SiteConnection(name=south, online=True, seen=seen),
    )
    return Status(
        federation="nord", moment=moment, viewer=None, registered=3, online=2, sites=sites,
        runs=runs or (run_view(half_way(north, south, east)),),
    )  # fmt: skip


def hostile(reason: str) -> Status:
    """Return a status in which a site's reason for refusing is what somebody liked to send."""
    view = run_view([*half_way(), line(118, ReplyRefused(round=3, phase="train", site="south", reason=reason))])
    return status(replace(view, notes=(reason,)))
