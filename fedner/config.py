"""Every knob of fedner: typed, documented where it is declared, checked when it is loaded.

The classes are Hydra structured configs, so they are not frozen; nothing assigns to them after loading. A group whose
options differ in their fields (data, partition, aggregation) has one class per option, told apart by `kind`.
Enum members are lower case because OmegaConf reads and writes them by member name.
`dumps` and `loads` carry a whole `Config` as one JSON string, which is how it crosses to the sites.
"""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fedner.errors import ConfigError


def _require(condition: bool, key: str, wanted: str, found: object) -> None:
    if not condition:
        raise ConfigError(f"{key}: wanted {wanted}, found {found!r}")


class DataKind(StrEnum):
    """Where a corpus comes from."""

    conll2003 = "conll2003"
    synthetic = "synthetic"
    files = "files"
    sites = "sites"
    hub = "hub"


class TextFormat(StrEnum):
    """How a corpus file is written; `auto` looks at the suffix and the first lines."""

    auto = "auto"
    conll = "conll"
    jsonl = "jsonl"


class TagScheme(StrEnum):
    """How entity boundaries are written in the source; `auto` detects it from the whole file."""

    auto = "auto"
    iob1 = "iob1"
    iob2 = "iob2"
    bioes = "bioes"
    bilou = "bilou"
    bare = "bare"


class OnIllegal(StrEnum):
    """What happens to an illegal tag sequence in the source."""

    repair = "repair"
    refuse = "refuse"


@dataclass(kw_only=True)
class ContractConfig:
    """The label contract, written down; tag ids follow from the order of `types` alone."""

    name: str = "entities"
    """Name of the contract, shown in refusals and reports."""
    version: int = 1
    """Version, raised whenever a meaning or the list of types changes."""
    types: dict[str, str] = field(default_factory=dict)
    """Entity type -> its meaning in one sentence, in tag order."""


@dataclass(kw_only=True)
class DataConfig:
    """What every source of text has in common."""

    kind: DataKind = MISSING
    contract: ContractConfig = field(default_factory=ContractConfig)
    """The label contract, inline; leave `types` empty to use `contract_file`."""
    contract_file: str | None = None
    """YAML file with name, version and types, in place of the inline contract."""
    scheme: TagScheme = TagScheme.auto
    """Tagging scheme of the source."""
    on_illegal: OnIllegal = OnIllegal.repair
    """Repair illegal tag sequences and report their number, or refuse the file."""
    train_sentences: int | None = None
    """Keep seeded random whole documents until the training split has this many sentences (> 0); None keeps all."""
    sample_seed: int = 0
    """Seed of that choice; kept apart from the run seed so that every seed trains on the same text."""

    def __post_init__(self) -> None:
        if self.train_sentences is not None:
            _require(self.train_sentences > 0, "data.train_sentences", "a number above 0", self.train_sentences)


@dataclass(kw_only=True)
class Conll2003Data(DataConfig):
    """The official English CoNLL-2003, fetched on first use; Reuters text, research use only."""

    kind: DataKind = DataKind.conll2003


@dataclass(kw_only=True)
class SyntheticData(DataConfig):
    """Generated notes of several institutions; for tests and first steps, never for a quality claim."""

    kind: DataKind = DataKind.synthetic
    institutions: int = 4
    """How many institutions write, each with its own templates, name pools and entity mix (1 to 16)."""
    train_documents: int = 80
    """Training documents in all (> 0)."""
    dev_documents: int = 24
    """Development documents in all (> 0)."""
    test_documents: int = 24
    """Test documents in all (> 0)."""
    generator_seed: int = 0
    """Seed of the text itself, apart from the run seed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(1 <= self.institutions <= 16, "data.institutions", "1 to 16", self.institutions)
        for name in ("train_documents", "dev_documents", "test_documents"):
            _require(getattr(self, name) > 0, f"data.{name}", "a number above 0", getattr(self, name))


@dataclass(kw_only=True)
class FilesData(DataConfig):
    """The user's own files, one list per split."""

    kind: DataKind = DataKind.files
    format: TextFormat = TextFormat.auto
    """File format of all files."""
    train: list[str] = field(default_factory=list)
    """Training files."""
    dev: list[str] = field(default_factory=list)
    """Development files; used to choose the round, never to train."""
    test: list[str] = field(default_factory=list)
    """Test files; scored once, at the end."""
    encoding: str = "utf-8"
    """Character encoding of the files."""
    word_column: int = 0
    """Column of the word in a CoNLL file, from 0; negative counts from the end."""
    tag_column: int = -1
    """Column of the tag in a CoNLL file, from 0; negative counts from the end."""


@dataclass(kw_only=True)
class SitesData(DataConfig):
    """A folder with one sub-folder per site, each holding train, dev and test files: a natural partition."""

    kind: DataKind = DataKind.sites
    format: TextFormat = TextFormat.auto
    """File format of all files."""
    root: str = MISSING
    """The folder; a site's name is its sub-folder's name, its files are train.*, dev.* and test.*."""
    sites: list[str] = field(default_factory=list)
    """Sub-folders that take part, in any order; empty takes all that are not in `unseen`."""
    unseen: list[str] = field(default_factory=list)
    """Sub-folders that no arm trains on; their test files are scored as a site of their own."""
    encoding: str = "utf-8"
    """Character encoding of the files."""
    word_column: int = 0
    """Column of the word in a CoNLL file, from 0; negative counts from the end."""
    tag_column: int = -1
    """Column of the tag in a CoNLL file, from 0; negative counts from the end."""


@dataclass(kw_only=True)
class HubData(DataConfig):
    """A Hugging Face data set by name, or a directory written by `datasets` `save_to_disk`."""

    kind: DataKind = DataKind.hub
    path: str = MISSING
    """Data set name on the hub, or a local directory."""
    subset: str | None = None
    """Configuration of the data set, where it has several."""
    revision: str | None = None
    """Commit or tag to pin."""
    train_split: str = "train"
    """Name of the training split."""
    dev_split: str = "validation"
    """Name of the development split."""
    test_split: str = "test"
    """Name of the test split."""
    words_column: str = "tokens"
    """Column with the list of words."""
    tags_column: str = "ner_tags"
    """Column with the list of tags, as ClassLabel ids or as strings."""
    document_column: str | None = None
    """Column that names the document of each row; None makes each row a document."""


@dataclass(kw_only=True)
class ModelConfig:
    """The encoder and how text is cut for it."""

    name: str = "minilm"
    """`minilm` (embedded default, fetched on first use), `tiny-random` (2 random layers, for tests and smoke runs), a
    local Hugging Face directory or a hub name of a BERT-family encoder."""
    revision: str | None = None
    """Commit or tag to pin, for hub names."""
    max_length: int = 128
    """Window length in word pieces, special tokens included (8 to 512)."""
    overlap_words: int = 16
    """Words that neighbouring windows of a long sentence share as context (>= 0)."""
    dropout: float | None = None
    """Dropout of encoder and head, [0, 1); None keeps the encoder's own."""
    frozen: list[str] = field(default_factory=list)
    """Prefixes of parameter names that are neither trained nor sent, such as `bert.embeddings`."""

    def __post_init__(self) -> None:
        _require(8 <= self.max_length <= 512, "model.max_length", "8 to 512 word pieces", self.max_length)
        _require(self.overlap_words >= 0, "model.overlap_words", "0 or more words", self.overlap_words)
        if self.dropout is not None:
            _require(0 <= self.dropout < 1, "model.dropout", "a number in [0, 1)", self.dropout)


class PartitionKind(StrEnum):
    """How one corpus becomes simulated sites."""

    iid = "iid"
    dirichlet = "dirichlet"
    quantity = "quantity"
    natural = "natural"


@dataclass(kw_only=True)
class PartitionConfig:
    """What every way to partition has in common. Documents are never cut, and never in two sites."""

    kind: PartitionKind = MISSING
    seed: int = 0
    """Seed of the partition, apart from the run seed so that every seed trains on the same sites."""


@dataclass(kw_only=True)
class CountedPartition(PartitionConfig):
    """A partition into a chosen number of sites."""

    sites: int = 4
    """Number of sites (> 0), named site-0, site-1, …"""
    min_train_documents: int = 2
    """Every site gets at least this many training documents (> 0)."""

    def __post_init__(self) -> None:
        _require(self.sites > 0, "partition.sites", "a number above 0", self.sites)
        _require(self.min_train_documents > 0, "partition.min_train_documents", "above 0", self.min_train_documents)


@dataclass(kw_only=True)
class IidPartition(CountedPartition):
    """Documents dealt at random, equal numbers of sentences."""

    kind: PartitionKind = PartitionKind.iid


@dataclass(kw_only=True)
class DirichletPartition(CountedPartition):
    """Label skew: each entity type is spread over the sites by a Dirichlet draw."""

    kind: PartitionKind = PartitionKind.dirichlet
    alpha: float = 0.3
    """Concentration (> 0); small is skewed, large approaches iid."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.alpha > 0, "partition.alpha", "a number above 0", self.alpha)


@dataclass(kw_only=True)
class QuantityPartition(CountedPartition):
    """Size skew: the site of rank r gets a share proportional to r ** -exponent."""

    kind: PartitionKind = PartitionKind.quantity
    exponent: float = 1.0
    """Power-law exponent (>= 0); 0 is equal sizes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.exponent >= 0, "partition.exponent", "0 or more", self.exponent)


@dataclass(kw_only=True)
class NaturalPartition(PartitionConfig):
    """Sites given by the documents' own metadata, or by the folders of `data=sites`."""

    kind: PartitionKind = PartitionKind.natural
    by: str = "institution"
    """Metadata key whose value is the site's name."""


class Schedule(StrEnum):
    """Learning rate over the whole run, not over one round."""

    linear = "linear"
    constant = "constant"


class Precision(StrEnum):
    """Arithmetic of the forward and backward pass; weights and optimizer stay float32."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


class OptimizerState(StrEnum):
    """What a site does with AdamW's moments between rounds."""

    reset = "reset"
    keep = "keep"


@dataclass(kw_only=True)
class TrainingConfig:
    """The local loop, the same for all arms; one round is `epochs` (or `steps`) at a site."""

    lr: float = 1e-4
    """Peak learning rate of AdamW (> 0)."""
    batch_size: int = 16
    """Windows per batch (> 0)."""
    gradient_accumulation: int = 1
    """Batches per optimizer step (> 0)."""
    epochs: float = 1.0
    """Passes over the shard per round (> 0); fractions allowed, the passes continue where the last round stopped."""
    steps: int | None = None
    """Optimizer steps per round (> 0), in place of `epochs`."""
    schedule: Schedule = Schedule.linear
    """Shape of the learning rate after warm-up, over all rounds together."""
    warmup: float = 0.1
    """Share of the whole run's steps with a rising learning rate, [0, 1)."""
    weight_decay: float = 0.01
    """Decoupled weight decay (>= 0); never on biases and LayerNorm."""
    beta1: float = 0.9
    """AdamW first-moment decay, [0, 1)."""
    beta2: float = 0.999
    """AdamW second-moment decay, [0, 1)."""
    epsilon: float = 1e-8
    """AdamW epsilon (> 0)."""
    max_grad_norm: float | None = 1.0
    """Global gradient norm limit (> 0); None does not clip."""
    prox_mu: float = 0.0
    """FedProx: weight of 1/2 ||w - w_round||^2 in the site's objective (>= 0). Li et al. 2020."""
    optimizer_state: OptimizerState = OptimizerState.reset
    """Forget or keep AdamW's moments between rounds at a site."""
    precision: Precision = Precision.auto
    """`auto` takes bf16 where the device computes it natively, else fp32."""
    device: str = "auto"
    """`auto` takes CUDA, then MPS, then CPU; or a torch device name."""
    threads: int | None = None
    """CPU threads (> 0); None takes all cores of the machine. Part of what makes runs reproducible bit by bit."""
    eval_batch_size: int = 64
    """Windows per batch in evaluation and prediction (> 0)."""

    def __post_init__(self) -> None:
        for name in ("lr", "batch_size", "gradient_accumulation", "epochs", "epsilon", "eval_batch_size"):
            _require(getattr(self, name) > 0, f"training.{name}", "a number above 0", getattr(self, name))
        for name in ("steps", "max_grad_norm", "threads"):
            value = getattr(self, name)
            _require(value is None or value > 0, f"training.{name}", "a number above 0 or null", value)
        for name in ("warmup", "beta1", "beta2"):
            _require(0 <= getattr(self, name) < 1, f"training.{name}", "a number in [0, 1)", getattr(self, name))
        for name in ("weight_decay", "prox_mu"):
            _require(getattr(self, name) >= 0, f"training.{name}", "0 or more", getattr(self, name))


class AggregationKind(StrEnum):
    """How the server turns updates into the next global state."""

    fedavg = "fedavg"
    fedavgm = "fedavgm"
    fedadam = "fedadam"
    fedyogi = "fedyogi"
    fedadagrad = "fedadagrad"
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
        _require(self.server_lr > 0, "aggregation.server_lr", "a number above 0", self.server_lr)
        _require(0 <= self.momentum < 1, "aggregation.momentum", "a number in [0, 1)", self.momentum)


@dataclass(kw_only=True)
class AdaptiveAggregation(AggregationConfig):
    """What FedAdam, FedYogi and FedAdagrad have in common. Reddi et al. 2021."""

    server_lr: float = 1e-3
    """Server learning rate (> 0)."""
    beta1: float = 0.9
    """First-moment decay, [0, 1); FedAdagrad ignores momentum when 0."""
    beta2: float = 0.99
    """Second-moment decay, [0, 1); not used by FedAdagrad."""
    tau: float = 1e-3
    """Degree of adaptivity (> 0)."""

    def __post_init__(self) -> None:
        for name in ("server_lr", "tau"):
            _require(getattr(self, name) > 0, f"aggregation.{name}", "a number above 0", getattr(self, name))
        for name in ("beta1", "beta2"):
            _require(0 <= getattr(self, name) < 1, f"aggregation.{name}", "a number in [0, 1)", getattr(self, name))


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
        _require(0 <= self.trim < 0.5, "aggregation.trim", "a number in [0, 0.5)", self.trim)


@dataclass(kw_only=True)
class KrumAggregation(AggregationConfig):
    """Krum (select 1) and Multi-Krum (select more). Blanchard et al. 2017."""

    kind: AggregationKind = AggregationKind.krum
    malicious: int = 1
    """Number of sites assumed malicious (>= 0)."""
    select: int = 1
    """How many of the best-scored updates are averaged (> 0)."""

    def __post_init__(self) -> None:
        _require(self.malicious >= 0, "aggregation.malicious", "0 or more", self.malicious)
        _require(self.select > 0, "aggregation.select", "a number above 0", self.select)


@dataclass(kw_only=True)
class BulyanAggregation(AggregationConfig):
    """Krum selection, then a mean around the median. El Mhamdi et al. 2018."""

    kind: AggregationKind = AggregationKind.bulyan
    malicious: int = 1
    """Number of sites assumed malicious (>= 0); needs at least 4 x malicious + 3 sites."""

    def __post_init__(self) -> None:
        _require(self.malicious >= 0, "aggregation.malicious", "0 or more", self.malicious)


class Weighting(StrEnum):
    """What a site's update weighs."""

    examples = "examples"
    words = "words"
    uniform = "uniform"


@dataclass(kw_only=True)
class FederationConfig:
    """Rounds and participation."""

    rounds: int = 10
    """Number of rounds (> 0); the centralized and local arms evaluate at the same points."""
    fraction: float = 1.0
    """Share of the sites asked to train in a round, (0, 1]; seeded by run seed and round."""
    min_sites: int = 1
    """A round needs at least this many usable replies (> 0)."""
    weighting: Weighting = Weighting.examples
    """Weight of a site's update in mean-type aggregations."""
    workers: int = 1
    """Processes that train sites side by side in an in-process simulation (> 0); 1 stays in this process."""
    public_dev: list[str] = field(default_factory=list)
    """Files the server may evaluate on after every round, in the format of `data`; empty evaluates at the sites only."""
    wait_seconds: float = 600.0
    """How long the server waits for the sites to connect, and for silent sites in a round after the first reply (> 0)."""

    def __post_init__(self) -> None:
        _require(self.rounds > 0, "federation.rounds", "a number above 0", self.rounds)
        _require(0 < self.fraction <= 1, "federation.fraction", "a number in (0, 1]", self.fraction)
        _require(self.min_sites > 0, "federation.min_sites", "a number above 0", self.min_sites)
        _require(self.workers > 0, "federation.workers", "a number above 0", self.workers)
        _require(self.wait_seconds > 0, "federation.wait_seconds", "seconds above 0", self.wait_seconds)


class Arm(StrEnum):
    """A way to train on the same data."""

    centralized = "centralized"
    federated = "federated"
    local = "local"


@dataclass(kw_only=True)
class ExperimentConfig:
    """What `fedner compare` runs."""

    arms: list[Arm] = field(default_factory=lambda: [Arm.centralized, Arm.federated, Arm.local])
    """Arms to compare."""
    seeds: list[int] = field(default_factory=lambda: [0])
    """Run seeds; the data and the partition stay the same."""
    lr_grid: list[float] = field(default_factory=list)
    """Learning rates tried per arm on the first seed, the best on dev taken; empty keeps training.lr for all arms."""
    bootstrap_samples: int = 1000
    """Document resamples behind every interval (>= 100)."""
    confidence: float = 0.95
    """Coverage of the intervals, (0, 1)."""

    def __post_init__(self) -> None:
        _require(len(self.arms) > 0, "experiment.arms", "at least one arm", self.arms)
        _require(len(self.seeds) > 0, "experiment.seeds", "at least one seed", self.seeds)
        _require(all(lr > 0 for lr in self.lr_grid), "experiment.lr_grid", "numbers above 0", self.lr_grid)
        _require(self.bootstrap_samples >= 100, "experiment.bootstrap_samples", "100 or more", self.bootstrap_samples)
        _require(0 < self.confidence < 1, "experiment.confidence", "a number in (0, 1)", self.confidence)


@dataclass(kw_only=True)
class Config:
    """One run or one comparison."""

    name: str | None = None
    """Name of the run directory; None makes one from the command, the data and the time."""
    output: str = "runs"
    """Folder that holds the run directories."""
    seed: int = 0
    """Run seed: head, order of examples, dropout, sampling of sites (>= 0). `compare` uses experiment.seeds."""
    data: DataConfig = field(default_factory=DataConfig)
    """Where the text comes from."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The encoder."""
    partition: PartitionConfig = field(default_factory=PartitionConfig)
    """How the corpus becomes sites."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """The local loop."""
    aggregation: AggregationConfig = field(default_factory=AggregationConfig)
    """How updates become the next global state."""
    federation: FederationConfig = field(default_factory=FederationConfig)
    """Rounds and participation."""
    experiment: ExperimentConfig = field(default_factory=ExperimentConfig)
    """What `compare` runs."""

    def __post_init__(self) -> None:
        _require(self.seed >= 0, "seed", "0 or more", self.seed)


DATA_CLASSES: dict[str, type[DataConfig]] = {
    DataKind.conll2003: Conll2003Data,
    DataKind.synthetic: SyntheticData,
    DataKind.files: FilesData,
    DataKind.sites: SitesData,
    DataKind.hub: HubData,
}
PARTITION_CLASSES: dict[str, type[PartitionConfig]] = {
    PartitionKind.iid: IidPartition,
    PartitionKind.dirichlet: DirichletPartition,
    PartitionKind.quantity: QuantityPartition,
    PartitionKind.natural: NaturalPartition,
}
AGGREGATION_CLASSES: dict[str, type[AggregationConfig]] = {
    AggregationKind.fedavg: FedAvgAggregation,
    AggregationKind.fedavgm: FedAvgMAggregation,
    AggregationKind.fedadam: FedAdamAggregation,
    AggregationKind.fedyogi: FedYogiAggregation,
    AggregationKind.fedadagrad: FedAdagradAggregation,
    AggregationKind.median: MedianAggregation,
    AggregationKind.trimmed_mean: TrimmedMeanAggregation,
    AggregationKind.krum: KrumAggregation,
    AggregationKind.bulyan: BulyanAggregation,
}
CLASSES_BY_GROUP: dict[str, dict[str, type]] = {
    "data": dict(DATA_CLASSES),
    "partition": dict(PARTITION_CLASSES),
    "aggregation": dict(AGGREGATION_CLASSES),
}


def to_plain(config: Config) -> dict[str, Any]:
    """Return the config as plain dicts, lists, strings and numbers, in declared order."""
    plain = OmegaConf.to_container(OmegaConf.structured(config), resolve=True, enum_to_str=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def from_plain(plain: dict[str, Any]) -> Config:
    """Build and check a `Config` from plain values.

    Raises:
        ConfigError: a key is unknown, a value is ill-typed or out of range, or `kind` is missing.
    """
    schema = OmegaConf.structured(Config)
    try:
        for group, classes in CLASSES_BY_GROUP.items():
            kind = (plain.get(group) or {}).get("kind")
            if kind not in classes:
                raise ConfigError(f"{group}.kind: wanted one of {', '.join(sorted(classes))}, found {kind!r}")
            schema[group] = OmegaConf.structured(classes[kind])
        config = OmegaConf.to_object(OmegaConf.merge(schema, plain))
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "config"
        raise ConfigError(f"{key}: {str(error).splitlines()[0]}") from error
    assert isinstance(config, Config)
    return config


def dumps(config: Config) -> str:
    """Return the config as one line of JSON."""
    return json.dumps(to_plain(config), ensure_ascii=False, separators=(",", ":"))


def loads(text: str) -> Config:
    """Read what `dumps` wrote, strictly.

    Raises:
        ConfigError: the text is not JSON, or as `from_plain`.
    """
    try:
        plain = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"config: wanted one JSON object, found invalid JSON ({error})") from error
    if not isinstance(plain, dict):
        raise ConfigError(f"config: wanted one JSON object, found {type(plain).__name__}")
    return from_plain(plain)
