"""A study as the report sees it: metrics.json, read once into types; everything but the arms may be absent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, cast

from pydantic import BeforeValidator

from fedner.config.typed import typed
from fedner.data.auditing.leakage import Leakage
from fedner.data.corpus import SPLITS
from fedner.data.encoding import EncodingStats
from fedner.data.partition import PartitionStats, SiteStats, SplitStats
from fedner.errors import FednerError, RunDirectoryError
from fedner.files import read_json
from fedner.metrics import CrossSiteMatrix, Difference, GapClosed, Summary
from fedner.records.results import SCHEMA, RunResult, run_from_json

Value = TypeVar("Value")
Plain = Mapping[str, Any]
Runs = Mapping[int, RunResult]
"""Seed -> run, in order of seeds."""

ARMS = ("centralized", "federated", "local", "fine_tuned")
METRICS_PATH = Path("report") / "metrics.json"

# Names and notices come from people and files. Control characters could drive a terminal or break an XML file, and
# direction overrides could make a table lie; they are shown as escapes instead, which keeps distinct names distinct.
_UNSHOWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")

# Each site's model has intervals of its own; the mean over them has one only where the study made it.
_INTERVALS = {
    "centralized": "centralized", "federated": "federated", "local": "local_mean", "fine_tuned": "fine_tuned_mean",
}  # fmt: skip
_PER_SITE = ("per_site", "per_site_fine_tuned")


class Interval(NamedTuple):
    """Bounds of an interval; both are None where nothing supports one."""

    low: float | None = None
    high: float | None = None


_UNBOUNDED = Interval()
_NullIsEmpty = BeforeValidator(lambda plain: {} if plain is None else plain)


@dataclass(frozen=True)
class ScoreIntervals:
    """Bootstrap intervals of one score, over test documents and seeds."""

    micro: Interval = _UNBOUNDED
    types: Annotated[Mapping[str, Interval], _NullIsEmpty] = field(default_factory=dict[str, Interval])


@dataclass(frozen=True)
class ModelIntervals:
    """Intervals of one arm (or one local model) on the pooled test set and on each site's own."""

    test: Annotated[ScoreIntervals, _NullIsEmpty] = field(default_factory=ScoreIntervals)
    sites: Annotated[Mapping[str, ScoreIntervals], _NullIsEmpty] = field(default_factory=dict[str, ScoreIntervals])


@dataclass(frozen=True, kw_only=True)
class Study:
    """One study or one single run, as the report reads it.

    `intervals` are by arm, `local_intervals` and `fine_tuned_intervals` by the site that trained the model; `unseen`
    sites trained none. `per_site` holds federated minus the site's own local model, on the site's own test shard,
    `per_site_fine_tuned` the site's fine-tuned model minus federated. `matrix` has every model on every site's text.
    `leakage` says whether test documents lie in training text; None where an earlier fedner wrote the file.
    `tuning` holds dev F1 by arm (or `local/site-0`) and learning rate, as written.
    `missing` names the runs that an interrupted comparison still lacks.
    """

    contract_hash: str
    types: tuple[str, ...]
    corpus: str
    splits: Mapping[str, SplitStats]
    partition: Mapping[str, SiteStats]
    unseen: tuple[str, ...]
    encoding: Mapping[str, EncodingStats]
    leakage: Leakage | None
    centralized: Runs
    federated: Runs
    local: Mapping[str, Runs]
    fine_tuned: Mapping[str, Runs]
    matrix: CrossSiteMatrix | None
    summaries: Mapping[str, Summary]
    gap_closed: GapClosed | None
    intervals: Mapping[str, ModelIntervals]
    local_intervals: Mapping[str, ModelIntervals]
    fine_tuned_intervals: Mapping[str, ModelIntervals]
    differences: Mapping[str, Difference]
    per_site: Mapping[str, Difference]
    per_site_fine_tuned: Mapping[str, Difference]
    tuning: Mapping[str, Mapping[str, float]]
    config: Plain
    environment: Plain
    notices: tuple[str, ...]
    signature: str
    command: str
    complete: bool
    missing: tuple[str, ...]

    @property
    def synthetic(self) -> bool:
        """Whether the text was generated, so that no claim about quality may rest on it."""
        return _section(self.config, "data").get("kind") == "synthetic"

    @property
    def confidence(self) -> float:
        """Coverage of the intervals, (0, 1)."""
        return float(_section(self.config, "experiment").get("confidence", 0.95))


def read_study(directory: Path) -> Study:
    """Read `report/metrics.json` of a study or run directory.

    Raises:
        RunDirectoryError: the file is missing, of another schema, has no arms, or an entry is not as agreed.
    """
    path = directory / METRICS_PATH
    plain = read_json(path)
    if plain.get("schema") != SCHEMA:
        found = plain.get("schema")
        raise RunDirectoryError(f"{path}: expected schema {SCHEMA}, got {found!r}; use the fedner that wrote it")
    try:
        return parse_study(plain)
    except (FednerError, KeyError, TypeError, ValueError, AttributeError) as error:
        problem = str(error) if isinstance(error, FednerError) else f"{type(error).__name__}: {error}"
        raise RunDirectoryError(f"{path}: an entry is missing or unexpected ({problem}); run compare again") from error


def parse_study(content: Plain) -> Study:
    """Return the typed form of the content of metrics.json.

    Raises:
        RunDirectoryError: an entry is missing or ill-typed.
    """
    plain = showable(content)
    arms, summary, intervals, differences, data, contract = (
        _section(plain, key) for key in ("arms", "summary", "intervals", "differences", "data", "contract")
    )
    partition = _read("data.partition", data.get("partition") or None, PartitionStats)
    gap = summary.get("gap_closed")
    pooled = {split: getattr(partition, split) for split in SPLITS} if partition else {}
    return Study(
        contract_hash=str(contract.get("hash", "")),
        types=tuple(contract.get("types") or ()),
        corpus=str(data.get("corpus") or ""),
        splits=_read("data.splits", data.get("splits"), Mapping[str, SplitStats]) or pooled,
        partition={site.site: site for site in partition.sites} if partition else {},
        unseen=tuple(_section(data, "unseen")),
        encoding=_each("data.encoding", data.get("encoding"), EncodingStats),
        leakage=Leakage.from_json(data["leakage"]) if data.get("leakage") else None,
        centralized=_runs(_section(arms, "centralized")),
        federated=_runs(_section(arms, "federated")),
        local=_runs_by_site(_section(arms, "local")),
        fine_tuned=_runs_by_site(_section(arms, "fine_tuned")),
        matrix=CrossSiteMatrix.from_json(plain["matrix"]) if plain.get("matrix") else None,
        summaries=_each("summary", {arm: summary.get(arm) for arm in ARMS}, Summary),
        gap_closed=_read("summary.gap_closed", gap and {"undefined_share": 0.0, **gap}, GapClosed),
        intervals=_each("intervals", {arm: intervals.get(key) for arm, key in _INTERVALS.items()}, ModelIntervals),
        local_intervals=_each("intervals.local", intervals.get("local"), ModelIntervals),
        fine_tuned_intervals=_each("intervals.fine_tuned", intervals.get("fine_tuned"), ModelIntervals),
        differences=_each(
            "differences", {name: each for name, each in differences.items() if name not in _PER_SITE}, Difference
        ),
        per_site=_each("differences.per_site", differences.get("per_site"), Difference),
        per_site_fine_tuned=_each(
            "differences.per_site_fine_tuned", differences.get("per_site_fine_tuned"), Difference
        ),
        tuning=_each("tuning", plain.get("tuning"), Mapping[str, float]),
        config=_section(plain, "config"),
        environment=_section(plain, "environment"),
        notices=tuple(plain.get("notices") or ()),
        signature=str(plain.get("signature") or ""),
        command=str(plain.get("command") or ""),
        complete=bool(plain.get("complete", True)),
        missing=tuple(plain.get("missing") or ()),
    )


def showable(value: Any) -> Any:
    """Return JSON content with every character that must not reach a page or a terminal written as its escape."""
    if isinstance(value, str):
        return _UNSHOWABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), value)
    if isinstance(value, list | tuple):
        return [showable(entry) for entry in value]
    if isinstance(value, Mapping):
        return {showable(key): showable(entry) for key, entry in value.items()}
    return value


def _section(plain: Plain, key: str) -> Plain:
    """Return a nested object, or an empty one where it is absent or null."""
    section = plain.get(key)
    if section is not None and not isinstance(section, Mapping):
        raise TypeError(f"{key!r} should be an object, got {type(section).__name__}")
    return section or {}


def _read(place: str, plain: object, schema: type[Value]) -> Value | None:
    """Return an entry as the type that it was written from, or None where it is absent."""
    if plain is None:
        return None
    return typed(plain, schema, RunDirectoryError, unknown="ignore", place=place)


def _each(place: str, plain: Plain | None, schema: type[Value]) -> Mapping[str, Value]:
    """Return the entries that are there."""
    present = {name: each for name, each in plain.items() if each is not None} if isinstance(plain, dict) else plain
    return _read(place, present, cast(type[Mapping[str, Value]], Mapping[str, schema])) or {}


def _runs(plain: Plain) -> Runs:
    seeds = _section(plain, "seeds")
    return {int(seed): run_from_json(seeds[seed]) for seed in sorted(seeds, key=int) if seeds[seed]}


def _runs_by_site(plain: Plain) -> Mapping[str, Runs]:
    return {site: _runs(runs) for site, runs in _section(plain, "sites").items() if runs is not None}
