"""Every knob of fedner: typed, documented where it is declared, checked when it is loaded.

The classes are Hydra structured configs, so they are not frozen; nothing assigns to them after loading. A group whose
options differ in their fields (data, partition, aggregation) has one class per option, distinguished by `kind`.
Enum members are lower case because OmegaConf reads and writes them by member name.
`dumps` and `loads` carry a whole `Config` as one JSON string, which is how it crosses to the sites.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fedner.config.checks import is_run_name, require
from fedner.config.data import (
    DATA_CLASSES,
    PARTITION_CLASSES,
    AtSitesData,
    Conll2003Data,
    ContractConfig,
    CountedPartition,
    DataConfig,
    DataKind,
    DirichletPartition,
    Discontinuous,
    FilesData,
    HubData,
    IidPartition,
    Misaligned,
    NaturalPartition,
    Nested,
    OnIllegal,
    PartitionConfig,
    PartitionKind,
    QuantityPartition,
    SitesData,
    SyntheticData,
    TagScheme,
    TextFilesData,
    TextFormat,
)
from fedner.config.federation import (
    AGGREGATION_CLASSES,
    AdaptiveAggregation,
    AggregationConfig,
    AggregationKind,
    BulyanAggregation,
    ExperimentConfig,
    FedAdagradAggregation,
    FedAdamAggregation,
    FedAvgAggregation,
    FedAvgMAggregation,
    FedDynAggregation,
    FederationConfig,
    FedNovaAggregation,
    FedYogiAggregation,
    KrumAggregation,
    MedianAggregation,
    MissedQuorum,
    TrimmedMeanAggregation,
    Weighting,
)
from fedner.config.knobs import Arm, PathKind, knob
from fedner.config.learning import (
    ModelConfig,
    OptimizerState,
    Partial,
    Precision,
    Schedule,
    TrainingConfig,
    Windowing,
)
from fedner.config.plain import refuse_unsafe
from fedner.config.tracking import TrackingConfig, WandbMode
from fedner.errors import ConfigError

__all__ = [
    "AGGREGATION_CLASSES",
    "CLASSES_BY_GROUP",
    "DATA_CLASSES",
    "PARTITION_CLASSES",
    "AdaptiveAggregation",
    "AggregationConfig",
    "AggregationKind",
    "Arm",
    "AtSitesData",
    "BulyanAggregation",
    "Config",
    "Conll2003Data",
    "ContractConfig",
    "CountedPartition",
    "DataConfig",
    "DataKind",
    "DirichletPartition",
    "Discontinuous",
    "ExperimentConfig",
    "FedAdagradAggregation",
    "FedAdamAggregation",
    "FedAvgAggregation",
    "FedAvgMAggregation",
    "FedDynAggregation",
    "FedNovaAggregation",
    "FedYogiAggregation",
    "FederationConfig",
    "FilesData",
    "HubData",
    "IidPartition",
    "KrumAggregation",
    "MedianAggregation",
    "Misaligned",
    "MissedQuorum",
    "ModelConfig",
    "NaturalPartition",
    "Nested",
    "OnIllegal",
    "OptimizerState",
    "Partial",
    "PartitionConfig",
    "PartitionKind",
    "Precision",
    "QuantityPartition",
    "Schedule",
    "SitesData",
    "SyntheticData",
    "TagScheme",
    "TextFilesData",
    "TextFormat",
    "TrackingConfig",
    "TrainingConfig",
    "TrimmedMeanAggregation",
    "WandbMode",
    "Weighting",
    "Windowing",
    "differences",
    "dumps",
    "from_plain",
    "loads",
    "to_plain",
]


@dataclass(kw_only=True)
class Config:
    """One run or one comparison."""

    name: str | None = field(default=None, metadata=knob(resumable=True, free=True, tracked=False))
    """Name of the run directory; None makes one from the command, the data and the time."""
    output: str = field(default="runs", metadata=knob(resumable=True, free=True, path=PathKind.path, tracked=False))
    """Folder that holds the run directories."""
    seed: int = field(default=0, metadata=knob(free=True))
    """Run seed: head, order of examples, dropout, sampling of sites (>= 0). `compare` uses experiment.seeds."""
    data: DataConfig = field(default_factory=DataConfig)
    """Where the text comes from."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The encoder."""
    partition: PartitionConfig = field(default_factory=PartitionConfig)
    """How the corpus becomes sites."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """The local loop."""
    aggregation: AggregationConfig = field(default_factory=AggregationConfig, metadata=knob(arm=Arm.federated))
    """How updates become the next global state."""
    federation: FederationConfig = field(default_factory=FederationConfig)
    """Rounds and participation."""
    experiment: ExperimentConfig = field(default_factory=ExperimentConfig, metadata=knob(resumable=True, tracked=False))
    """Arms, seeds and rates that `compare` runs."""
    tracking: TrackingConfig = field(
        default_factory=TrackingConfig, metadata=knob(resumable=True, free=True, tracked=False)
    )
    """Trackers that receive a run's events."""

    def __post_init__(self) -> None:
        require(self.seed >= 0, "seed", "0 or more", self.seed)
        fine_tuned = Arm.fine_tuned in self.experiment.arms
        unfit = bool(self.federation.public_dev or getattr(self.data, "unseen", []) or fine_tuned)
        wanted = "none with federation.public_dev, data.unseen or arm fine_tuned, which need a whole model"
        require(not (self.model.personal and unfit), "model.personal", wanted, self.model.personal)
        at_sites = isinstance(self.data, AtSitesData)
        wanted = "1 to 128 letters, digits, '.', '_' and '-', the first no '.' or '-', with data=at_sites"
        named = self.name is None or is_run_name(self.name)
        require(not at_sites or named, "name", wanted, self.name)
        wanted = "natural with data=at_sites, whose sites are what they are"
        kind = self.partition.kind
        require(not at_sites or kind is PartitionKind.natural, "partition.kind", wanted, kind)
        dynamic = isinstance(self.aggregation, FedDynAggregation)
        wanted = "a number above 0 with aggregation=feddyn, and 0 with any other"
        require(dynamic == (self.training.dyn_alpha > 0), "training.dyn_alpha", wanted, self.training.dyn_alpha)


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


def differences(before: Config, now: Config, free: Sequence[str]) -> list[str]:
    """Describe each difference, one sentence per key, except for the keys and groups in `free`."""
    return [
        f"{key} was {old!r}, now {new!r}"
        for key, old, new in _differences(to_plain(before), to_plain(now), "")
        if not any(key == name or key.startswith(f"{name}.") for name in free)
    ]


def _differences(before: Any, now: Any, prefix: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*before, *now]):
            yield from _differences(before.get(key), now.get(key), f"{prefix}.{key}" if prefix else str(key))
    elif before != now:
        yield prefix, before, now


def from_plain(plain: object) -> Config:
    """Build and check a `Config` from plain values.

    Raises:
        ConfigError: a key is unknown, a value is ill-typed or out of range, `kind` is missing, or it is no mapping.
    """
    if not isinstance(plain, dict):
        raise ConfigError(f"config: expected one JSON object, got {type(plain).__name__} (in YAML: one mapping)")
    refuse_unsafe(plain, "")
    schema = OmegaConf.structured(Config)
    try:
        for group, classes in CLASSES_BY_GROUP.items():
            chosen = plain.get(group)
            if not isinstance(chosen, dict):
                raise ConfigError(f"{group}: expected a mapping, got {chosen!r}")
            kind = chosen.get("kind")
            if not isinstance(kind, str) or kind not in classes:
                raise ConfigError(f"{group}.kind: expected one of {', '.join(sorted(classes))}, got {kind!r}")
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
        raise ConfigError(f"config: expected one JSON object, got invalid JSON ({error})") from error
    return from_plain(plain)
