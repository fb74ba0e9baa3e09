"""What happens in a federation, one dataclass per kind: each becomes one line of history.jsonl."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class RunStarted:
    """The run directory is there and the sites are being called."""

    event: str = field(default="run started", init=False)
    run: str
    seed: int
    rounds: int
    contract: str


@dataclass(frozen=True, kw_only=True)
class RunResumed:
    """The run goes on after its last whole round, 0 being none; `damaged` says why newer checkpoints were not used."""

    event: str = field(default="run resumed", init=False)
    round: int
    rounds: int
    state: str
    damaged: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SiteJoined:
    """A site said hello and holds the federation's contract; sizes in sentences."""

    event: str = field(default="site joined", init=False)
    site: str
    train_sentences: int
    dev_sentences: int
    test_sentences: int


@dataclass(frozen=True, kw_only=True)
class SiteLeft:
    """A site's node is not connected any more; it may come back, and is greeted when it does."""

    event: str = field(default="site left", init=False)
    round: int
    site: str


@dataclass(frozen=True, kw_only=True)
class SiteRefused:
    """A node that came during the run may not take part; `site` is empty where it could not say who it is."""

    event: str = field(default="site refused", init=False)
    round: int
    site: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RoundStarted:
    """The global state goes out to the sites of this round; `spares` are asked besides, or in the place of others."""

    event: str = field(default="round started", init=False)
    round: int
    rounds: int
    sites: tuple[str, ...]
    spares: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SiteSuspended:
    """A site is not asked for training any more, since its updates were refused too often in a row."""

    event: str = field(default="site suspended", init=False)
    round: int
    site: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ReplyAccepted:
    """A site's training counts; `loss` is its mean per word, in nats, `norm` that of its update after `steps`.

    `seconds` is the site's own wall time.
    """

    event: str = field(default="reply accepted", init=False)
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
    """A site's answer does not count; `phase` is hello, train, dev or test."""

    event: str = field(default="reply refused", init=False)
    round: int
    phase: str
    site: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ReplyIgnored:
    """A reply came twice, after its request had been given up, or to no request at all; it changed nothing."""

    event: str = field(default="reply ignored", init=False)
    round: int
    phase: str
    site: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RoundAggregated:
    """The updates of a round have become the next global state, identified by its digest."""

    event: str = field(default="round aggregated", init=False)
    round: int
    sites: tuple[str, ...]
    train_loss: float
    state: str


@dataclass(frozen=True, kw_only=True)
class QuorumMissed:
    """The usable replies of a round were not enough; `then` is what follows: stop, skip or retry."""

    event: str = field(default="quorum missed", init=False)
    round: int
    reason: str
    then: str


@dataclass(frozen=True, kw_only=True)
class RoundEvaluated:
    """Pooled dev micro F1 of the round's state; `best` says whether it is the best so far."""

    event: str = field(default="round evaluated", init=False)
    round: int
    rounds: int
    dev_f1: float
    public_dev_f1: float | None
    best: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class RunFinished:
    """The best round's state was scored on the test shards, once."""

    event: str = field(default="run finished", init=False)
    best_round: int
    test_f1: float
    state: str
    seconds: float


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
)
