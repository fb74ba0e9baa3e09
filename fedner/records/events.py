"""Events of a federation, one dataclass per kind: each becomes one line of history.jsonl.

`read_event` reads such a line again; `round_evaluated` and `run_finished` make the two that sum up a round and a run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, cast, get_args

from fedner.records.results import RoundRecord, RunResult, best_round


@dataclass(frozen=True, kw_only=True)
class RunStarted:
    """The run directory is there and the sites are being called."""

    event: ClassVar[str] = "run started"
    run: str
    seed: int
    rounds: int
    contract: str


@dataclass(frozen=True, kw_only=True)
class RunResumed:
    """The run resumes after its last whole round, 0 being none; `damaged` says why newer checkpoints were not used."""

    event: ClassVar[str] = "run resumed"
    round: int
    rounds: int
    state: str
    damaged: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SiteJoined:
    """A site said hello and holds the federation's contract; sizes in sentences, null where it withholds them.

    `declines` are the splits whose scores the site withholds.
    """

    event: ClassVar[str] = "site joined"
    site: str
    train_sentences: int | None
    dev_sentences: int | None
    test_sentences: int | None
    declines: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SiteLeft:
    """A site's node is not connected any more; it may come back, and is greeted when it does."""

    event: ClassVar[str] = "site left"
    round: int
    site: str


@dataclass(frozen=True, kw_only=True)
class SiteRefused:
    """A node that came during the run may not take part; `site` is empty where it could not say who it is."""

    event: ClassVar[str] = "site refused"
    round: int
    site: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RoundStarted:
    """The global state goes out to the sites of this round; `spares` are asked besides, or in the place of others."""

    event: ClassVar[str] = "round started"
    round: int
    rounds: int
    sites: tuple[str, ...]
    spares: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SiteSuspended:
    """A site is not asked for training any more, since its updates were refused too often in a row."""

    event: ClassVar[str] = "site suspended"
    round: int
    site: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ReplyAccepted:
    """A site's training counts; `loss` is its mean per word, in nats, `norm` that of its update after `steps`.

    `seconds` is the site's own wall time.
    """

    event: ClassVar[str] = "reply accepted"
    round: int
    site: str
    examples: int
    weight: float
    loss: float
    steps: int
    norm: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ReplyRefused:
    """A site's answer does not count; `phase` is hello, train, dev or test.

    `origin` says who decided (site, server, transport) and `code` why; `reason` is both code and sentence, for people.
    """

    event: ClassVar[str] = "reply refused"
    round: int
    phase: str
    site: str
    reason: str
    origin: str = ""
    code: str = ""


@dataclass(frozen=True, kw_only=True)
class ReplyIgnored:
    """A reply came twice, after its request had been given up, or to no request at all; it changed nothing."""

    event: ClassVar[str] = "reply ignored"
    round: int
    phase: str
    site: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RoundAggregated:
    """The updates of a round have become the next global state, identified by its digest."""

    event: ClassVar[str] = "round aggregated"
    round: int
    sites: tuple[str, ...]
    train_loss: float
    state: str


@dataclass(frozen=True, kw_only=True)
class QuorumMissed:
    """The usable replies of a round were not enough; `then` is what follows: stop, skip or retry."""

    event: ClassVar[str] = "quorum missed"
    round: int
    reason: str
    then: str


@dataclass(frozen=True, kw_only=True)
class RoundEvaluated:
    """A round is complete: the sites that counted, its scores on the pooled dev shards, and the best round so far.

    `weights` holds the sites that counted and what each weighs in a mean-type aggregation, `missing` those that were
    asked and did not answer, `refused` those whose answer does not count; a site that trained but could not score
    is in the first and in one of the others. `withheld` are sites that withhold scores, all or those of some types; the
    pooled scores are those of the others. `dev_types` is F1 by type. A round that was skipped without a quorum has no
    scores, nor has one in which every site withholds them. `seconds` is wall time, bytes are those of tensors.
    """

    event: ClassVar[str] = "round evaluated"
    round: int
    rounds: int
    dev_f1: float | None
    dev_precision: float | None
    dev_recall: float | None
    dev_types: Mapping[str, float]
    public_dev_f1: float | None
    best: bool
    best_round: int
    best_f1: float | None
    train_loss: float | None
    seconds: float
    bytes_up: int
    bytes_down: int
    weights: Mapping[str, float]
    missing: Mapping[str, str]
    refused: Mapping[str, str]
    withheld: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class RunFinished:
    """The best round's state was scored on the test shards, once, after some rounds; `test_sites` is F1 by site.

    `withheld` are sites that withhold test scores, all or those of some types.
    """

    event: ClassVar[str] = "run finished"
    rounds: int
    best_round: int
    test_f1: float
    test_precision: float
    test_recall: float
    test_sites: Mapping[str, float]
    withheld: Mapping[str, str]
    state: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class TrackerFailed:
    """A tracker failed and receives nothing more in this process; the run continues."""

    event: ClassVar[str] = "tracker failed"
    tracker: str
    reason: str


Event = (
    RunStarted
    | RunResumed
    | SiteJoined
    | SiteLeft
    | SiteRefused
    | RoundStarted
    | SiteSuspended
    | ReplyAccepted
    | ReplyRefused
    | ReplyIgnored
    | RoundAggregated
    | QuorumMissed
    | RoundEvaluated
    | RunFinished
    | TrackerFailed
)


_KINDS: dict[str, type[Event]] = {kind.event: kind for kind in get_args(Event)}


def read_event(line: Mapping[str, Any]) -> Event | None:
    """Return the event of a line of history.jsonl, or None for one that this version does not know in full."""
    kind = _KINDS.get(line["event"])
    if kind is None:
        return None
    known = {entry.name for entry in fields(kind)}
    # Before version 0.2 `withheld` was `untold`.
    values = {name: value for key, value in line.items() if (name := "withheld" if key == "untold" else key) in known}
    values |= {name: tuple(cast("list[Any]", value)) for name, value in values.items() if isinstance(value, list)}
    try:
        return kind(**values)
    except TypeError:
        return None


def round_evaluated(rounds: Sequence[RoundRecord], planned: int) -> RoundEvaluated:
    """Return the line of the last of some rounds, out of so many planned."""
    entry, best = rounds[-1], best_round(rounds)
    dev = entry.dev.micro if entry.dev else None
    leader = next(each for each in rounds if each.round == best).dev
    return RoundEvaluated(
        round=entry.round,
        rounds=planned,
        dev_f1=dev.f1 if dev else None,
        dev_precision=dev.precision if dev else None,
        dev_recall=dev.recall if dev else None,
        dev_types={name: prf.f1 for name, prf in entry.dev.types.items()} if entry.dev else {},
        public_dev_f1=entry.public_dev.micro.f1 if entry.public_dev else None,
        best=best == entry.round and leader is not None,
        best_round=best,
        best_f1=leader.micro.f1 if leader else None,
        train_loss=entry.train_loss,
        seconds=entry.seconds,
        bytes_up=entry.bytes_up,
        bytes_down=entry.bytes_down,
        weights=entry.weights,
        missing={site: refusal.shown for site, refusal in entry.refused.items() if refusal.is_silence},
        refused={site: refusal.shown for site, refusal in entry.refused.items() if not refusal.is_silence},
        withheld=entry.withheld,
    )


def run_finished(result: RunResult) -> RunFinished:
    """Return the last line of a run."""
    return RunFinished(
        rounds=len(result.rounds),
        best_round=result.best_round,
        test_f1=result.test.micro.f1,
        test_precision=result.test.micro.precision,
        test_recall=result.test.micro.recall,
        test_sites={site: score.micro.f1 for site, score in result.sites.items()},
        withheld=result.withheld,
        state=result.state_digest,
        seconds=result.seconds,
    )
