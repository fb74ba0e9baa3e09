"""Aggregation, rounds and participation, and what a comparison runs."""

from dataclasses import dataclass, field
from enum import StrEnum

from omegaconf import MISSING

from fedner.config.checks import require
from fedner.config.knobs import Arm, PathKind, knob

_FEDERATED = knob(arm=Arm.federated)
_COURSE = knob(arm=Arm.federated, resumable=True)  # how a federation is run, which no whole round's result depends on
_FREE = knob(free=True)


class AggregationKind(StrEnum):
    """How the server turns updates into the next global state."""

    fedavg = "fedavg"
    fedavgm = "fedavgm"
    fedadam = "fedadam"
    fedyogi = "fedyogi"
    fedadagrad = "fedadagrad"
    fednova = "fednova"
    feddyn = "feddyn"
    median = "median"
    trimmed_mean = "trimmed_mean"
    krum = "krum"
    bulyan = "bulyan"


@dataclass(kw_only=True)
class AggregationConfig:
    """What every aggregation has in common."""

    kind: AggregationKind = MISSING


@dataclass(kw_only=True)
class FedAvgAggregation(AggregationConfig):
    """Weighted mean of the sites' states. McMahan et al. 2017."""

    kind: AggregationKind = AggregationKind.fedavg


@dataclass(kw_only=True)
class FedAvgMAggregation(AggregationConfig):
    """FedAvg with server momentum. Hsu et al. 2019."""

    kind: AggregationKind = AggregationKind.fedavgm
    server_lr: float = 1.0
    """Server learning rate (> 0)."""
    momentum: float = 0.9
    """Server momentum, [0, 1)."""

    def __post_init__(self) -> None:
        require(self.server_lr > 0, "aggregation.server_lr", "a number above 0", self.server_lr)
        require(0 <= self.momentum < 1, "aggregation.momentum", "a number in [0, 1)", self.momentum)


@dataclass(kw_only=True)
class AdaptiveAggregation(AggregationConfig):
    """What FedAdam, FedYogi and FedAdagrad have in common. Reddi et al. 2021."""

    server_lr: float = 1e-3
    """Server learning rate (> 0)."""
    beta1: float = 0.9
    """First-moment decay (server momentum), [0, 1)."""
    beta2: float = 0.99
    """Second-moment decay, [0, 1); not used by FedAdagrad."""
    tau: float = 1e-3
    """Degree of adaptivity (> 0)."""

    def __post_init__(self) -> None:
        for name in ("server_lr", "tau"):
            require(getattr(self, name) > 0, f"aggregation.{name}", "a number above 0", getattr(self, name))
        for name in ("beta1", "beta2"):
            require(0 <= getattr(self, name) < 1, f"aggregation.{name}", "a number in [0, 1)", getattr(self, name))


@dataclass(kw_only=True)
class FedAdamAggregation(AdaptiveAggregation):
    """Server Adam. Reddi et al. 2021."""

    kind: AggregationKind = AggregationKind.fedadam


@dataclass(kw_only=True)
class FedYogiAggregation(AdaptiveAggregation):
    """Server Yogi. Reddi et al. 2021."""

    kind: AggregationKind = AggregationKind.fedyogi


@dataclass(kw_only=True)
class FedAdagradAggregation(AdaptiveAggregation):
    """Server Adagrad. Reddi et al. 2021."""

    kind: AggregationKind = AggregationKind.fedadagrad
    beta1: float = 0.0
    """First-moment decay (server momentum), [0, 1); 0 is the published FedAdagrad."""


@dataclass(kw_only=True)
class FedNovaAggregation(AggregationConfig):
    """Mean of the sites' updates per step, so that more local steps do not weigh more. Wang et al. 2020."""

    kind: AggregationKind = AggregationKind.fednova


@dataclass(kw_only=True)
class FedDynAggregation(AggregationConfig):
    """The server's side of FedDyn; `training.dyn_alpha` is the sites'. Acar et al. 2021."""

    kind: AggregationKind = AggregationKind.feddyn


@dataclass(kw_only=True)
class MedianAggregation(AggregationConfig):
    """Coordinate-wise median. Yin et al. 2018."""

    kind: AggregationKind = AggregationKind.median


@dataclass(kw_only=True)
class TrimmedMeanAggregation(AggregationConfig):
    """Coordinate-wise trimmed mean. Yin et al. 2018."""

    kind: AggregationKind = AggregationKind.trimmed_mean
    trim: float = 0.2
    """Share of the values cut off at each end, [0, 0.5)."""

    def __post_init__(self) -> None:
        require(0 <= self.trim < 0.5, "aggregation.trim", "a number in [0, 0.5)", self.trim)


@dataclass(kw_only=True)
class KrumAggregation(AggregationConfig):
    """Krum (select 1) and Multi-Krum (select more). Blanchard et al. 2017."""

    kind: AggregationKind = AggregationKind.krum
    malicious: int = 1
    """Number of sites assumed malicious (>= 0)."""
    select: int = 1
    """How many of the best-scored updates are averaged (> 0)."""

    def __post_init__(self) -> None:
        require(self.malicious >= 0, "aggregation.malicious", "0 or more", self.malicious)
        require(self.select > 0, "aggregation.select", "a number above 0", self.select)


@dataclass(kw_only=True)
class BulyanAggregation(AggregationConfig):
    """Krum selection, then a mean around the median. El Mhamdi et al. 2018."""

    kind: AggregationKind = AggregationKind.bulyan
    malicious: int = 1
    """Number of sites assumed malicious (>= 0); needs at least 4 x malicious + 3 sites."""

    def __post_init__(self) -> None:
        require(self.malicious >= 0, "aggregation.malicious", "0 or more", self.malicious)


class Weighting(StrEnum):
    """How a site's update is weighted."""

    examples = "examples"
    words = "words"
    uniform = "uniform"
    capped = "capped"


class MissedQuorum(StrEnum):
    """What happens when a round's usable replies are not enough."""

    stop = "stop"
    skip = "skip"
    retry = "retry"


@dataclass(kw_only=True)
class FederationConfig:
    """Rounds and participation."""

    rounds: int = field(default=10, metadata=knob(resumable=True))
    """Number of rounds (> 0); the centralized and local arms evaluate at the same points."""
    fraction: float = field(default=1.0, metadata=_FEDERATED)
    """Share of the sites asked to train in a round, (0, 1]; seeded by run seed and round."""
    min_sites: int = field(default=1, metadata=_FEDERATED)
    """A round needs at least this many usable replies (> 0)."""
    min_share: float = field(default=0.0, metadata=_FEDERATED)
    """A round needs usable replies of sites that hold this share of all connected sites' training sentences, [0, 1]."""
    mandatory: list[str] = field(default_factory=list, metadata=_FEDERATED)
    """Names of sites that are asked in every round, and without whose usable reply a round does not count."""
    missed_quorum: MissedQuorum = field(default=MissedQuorum.stop, metadata=_COURSE)
    """After a round without a quorum: `stop` the run (it can be resumed), `skip` the round and leave the global state
    as it was, or `retry` it up to federation.retries times and then stop."""
    retries: int = field(default=3, metadata=_COURSE)
    """How often a round without a quorum is retried under `retry` (> 0)."""
    weighting: Weighting = field(default=Weighting.examples, metadata=_FEDERATED)
    """Weight of a site's update in mean-type aggregations; `capped` is examples, but federation.weight_cap at most."""
    weight_cap: float | None = field(default=None, metadata=_FEDERATED)
    """Largest weight under `capped`, in sentences passed through training in a round (> 0): one giant cannot drown the
    rest."""
    max_update_norm: float | None = field(default=10.0, metadata=_FEDERATED)
    """Refuse an update whose norm is more than this many times the norm expected of its steps from the last rounds'
    medians, or more than AdamW can move in them (> 1); None accepts all."""
    max_refusals: int | None = field(default=3, metadata=_FEDERATED)
    """Stop asking a site to train after its update was refused this many times in a row (> 0); None asks always."""
    patience: int | None = field(default=None, metadata=knob())
    """Early stopping: stop when pooled dev F1 has had no new best for this many rounds (> 0), in all arms alike; None
    runs all rounds."""
    workers: int = field(default=1, metadata=_COURSE)
    """Processes that train sites side by side in an in-process simulation (> 0); 1 stays in this process."""
    public_dev: list[str] = field(
        default_factory=list, metadata=knob(arm=Arm.federated, path=PathKind.path, tracked=False)
    )
    """Files the server may evaluate on after every round, format detected; empty evaluates at the sites only."""
    spill_bytes: int | None = field(default=2 * 1024**3, metadata=knob(resumable=True, free=True))
    """Replies of a round that the server may hold in memory where an aggregation needs all of them (median,
    trimmed_mean, krum, bulyan), in bytes of tensors (>= 0; 2 GiB); further ones lie in the run directory meanwhile.
    None keeps all in memory."""
    wait_seconds: float = field(default=600.0, metadata=_COURSE)
    """How long the server waits for sites to connect, or to come back where a round cannot begin without them, and,
    once a reply has come in a round, for the next one (> 0)."""
    deadline_seconds: float | None = field(default=None, metadata=_COURSE)
    """How long sites have for training or scoring in a round, all together (> 0); later replies do not count. None
    waits for the first reply without a limit. Sites that train in the server's own process have no deadline."""
    grace_seconds: float = field(default=0.0, metadata=_COURSE)
    """How much longer than federation.deadline_seconds the server waits while the replies are no quorum (>= 0)."""
    straggler_seconds: float | None = field(default=None, metadata=_COURSE)
    """Once the training replies are a quorum, how long the server waits for the others (>= 0); None waits until the
    deadline. For real sites only: simulated ones have no deadline."""
    spares: int = field(default=0, metadata=_FEDERATED)
    """Sites asked to train beyond the wanted number (>= 0): the first usable replies make the round, the others are
    dropped. In a simulation a spare replaces a site whose reply does not count."""

    def __post_init__(self) -> None:
        require(self.rounds > 0, "federation.rounds", "a number above 0", self.rounds)
        require(0 < self.fraction <= 1, "federation.fraction", "a number in (0, 1]", self.fraction)
        require(self.min_sites > 0, "federation.min_sites", "a number above 0", self.min_sites)
        capped = self.weighting == Weighting.capped
        wanted = "a number above 0 with federation.weighting=capped, null otherwise"
        require((self.weight_cap or 0) > 0 if capped else self.weight_cap is None, "federation.weight_cap", wanted,
                self.weight_cap)  # fmt: skip
        norm = self.max_update_norm
        require(norm is None or norm > 1, "federation.max_update_norm", "a number above 1 or null", norm)
        for name in ("max_refusals", "patience"):
            value = getattr(self, name)
            require(value is None or value > 0, f"federation.{name}", "a number above 0 or null", value)
        require(self.workers > 0, "federation.workers", "a number above 0", self.workers)
        require(0 <= self.min_share <= 1, "federation.min_share", "a number in [0, 1]", self.min_share)
        named = all(self.mandatory) and len(set(self.mandatory)) == len(self.mandatory)
        require(named, "federation.mandatory", "different names of sites", self.mandatory)
        require(self.retries > 0, "federation.retries", "a number above 0", self.retries)
        deadline = self.deadline_seconds
        require(deadline is None or deadline > 0, "federation.deadline_seconds", "seconds above 0 or null", deadline)
        spill = self.spill_bytes
        require(spill is None or spill >= 0, "federation.spill_bytes", "bytes, 0 or more, or null", spill)
        require(self.wait_seconds > 0, "federation.wait_seconds", "seconds above 0", self.wait_seconds)
        require(self.grace_seconds >= 0, "federation.grace_seconds", "seconds, 0 or more", self.grace_seconds)
        graced = self.grace_seconds == 0 or deadline is not None
        require(graced, "federation.grace_seconds", "0 without federation.deadline_seconds", self.grace_seconds)
        straggler = self.straggler_seconds
        require(straggler is None or straggler >= 0, "federation.straggler_seconds", "seconds, 0 or more, or null",
                straggler)  # fmt: skip
        require(self.spares >= 0, "federation.spares", "0 or more", self.spares)


@dataclass(kw_only=True)
class ExperimentConfig:
    """What `fedner compare` runs."""

    arms: list[Arm] = field(default_factory=lambda: [Arm.centralized, Arm.federated, Arm.local], metadata=_FREE)
    """Arms to compare; `fine_tuned` continues from the federated model at each site, so it needs `federated` beside it,
    and it sees more text than the others."""
    seeds: list[int] = field(default_factory=lambda: [0], metadata=_FREE)
    """Run seeds; the data and the partition stay the same."""
    lr_grid: list[float] = field(default_factory=list, metadata=_FREE)
    """Learning rates tried per arm on the first seed, the best on dev taken; empty keeps training.lr for all arms."""
    fine_tune_rounds: int = field(default=2, metadata=knob(arm=Arm.fine_tuned))
    """Rounds of local training after federating, in arm `fine_tuned` (> 0); a site keeps its best round on its own dev,
    or the federated model where none is better."""
    bootstrap_samples: int = field(default=1000, metadata=_FREE)
    """Document resamples behind every interval (>= 100)."""
    confidence: float = field(default=0.95, metadata=_FREE)
    """Coverage of the intervals, (0, 1)."""
    check_test: bool = field(default=True, metadata=_FREE)
    """Check whether test documents occur in training text, exactly or nearly, and report it; takes about a
    second for a thousand documents, and the extra `audit`."""

    def __post_init__(self) -> None:
        require(len(self.arms) > 0, "experiment.arms", "at least one arm", self.arms)
        begun = Arm.fine_tuned not in self.arms or Arm.federated in self.arms
        require(begun, "experiment.arms", "federated beside fine_tuned, which starts from it", self.arms)
        require(len(self.seeds) > 0, "experiment.seeds", "at least one seed", self.seeds)
        distinct = len(set(self.seeds)) == len(self.seeds) and min(self.seeds) >= 0
        require(distinct, "experiment.seeds", "different numbers, 0 or more", self.seeds)
        require(all(lr > 0 for lr in self.lr_grid), "experiment.lr_grid", "numbers above 0", self.lr_grid)
        require(self.fine_tune_rounds > 0, "experiment.fine_tune_rounds", "a number above 0", self.fine_tune_rounds)
        require(self.bootstrap_samples >= 100, "experiment.bootstrap_samples", "100 or more", self.bootstrap_samples)
        require(0 < self.confidence < 1, "experiment.confidence", "a number in (0, 1)", self.confidence)


AGGREGATION_CLASSES: dict[str, type[AggregationConfig]] = {
    AggregationKind.fedavg: FedAvgAggregation,
    AggregationKind.fedavgm: FedAvgMAggregation,
    AggregationKind.fedadam: FedAdamAggregation,
    AggregationKind.fedyogi: FedYogiAggregation,
    AggregationKind.fedadagrad: FedAdagradAggregation,
    AggregationKind.fednova: FedNovaAggregation,
    AggregationKind.feddyn: FedDynAggregation,
    AggregationKind.median: MedianAggregation,
    AggregationKind.trimmed_mean: TrimmedMeanAggregation,
    AggregationKind.krum: KrumAggregation,
    AggregationKind.bulyan: BulyanAggregation,
}
