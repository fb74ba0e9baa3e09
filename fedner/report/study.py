"""A study as the report sees it: metrics.json, read once into types; everything but the arms may be absent."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fedner.data.auditing.leakage import Leakage
from fedner.data.corpus import SPLITS
from fedner.data.encoding import EncodingStats
from fedner.errors import FednerError, RunDirectoryError
from fedner.files import read_json
from fedner.metrics import CrossSiteMatrix
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


@dataclass(frozen=True)
class Interval:
    """Bounds of an interval; both are None where nothing supports one."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Summary:
    """Mean test micro F1 of an arm over its seeds, with the interval over test documents and seeds."""

    mean: float
    interval: Interval
    seeds: int


@dataclass(frozen=True)
class GapClosed:
    """Share of the gap between training alone and pooling that federating closed; None where there is no gap.

    `undefined_share` of the resamples had no gap to close; where they are too many, there is no interval.
    """

    share: float | None
    interval: Interval
    undefined_share: float


@dataclass(frozen=True)
class Difference:
    """Micro F1 of one arm minus another on the same documents, with its interval; `p_value` is two-sided."""

    delta: float
    interval: Interval
    p_value: float | None


@dataclass(frozen=True)
class ScoreIntervals:
    """Bootstrap intervals of one score, over test documents and seeds."""

    micro: Interval
    types: Mapping[str, Interval]


@dataclass(frozen=True)
class ModelIntervals:
    """Intervals of one arm (or one local model) on the pooled test set and on each site's own."""

    test: ScoreIntervals
    sites: Mapping[str, ScoreIntervals]


@dataclass(frozen=True)
class SplitSize:
    """How much text one split of one site has; `entities` counts by type."""

    documents: int
    sentences: int
    words: int
    entities: Mapping[str, int]


@dataclass(frozen=True)
class SiteData:
    """A site's splits and how far its training types lie from the pool's (Jensen-Shannon, bits: 0 same, 1 disjoint).

    `unannotated` has the types that nobody looked for in a split.
    """

    splits: Mapping[str, SplitSize]
    divergence_bits: float | None
    unannotated: Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Study:
    """One study or one single run, ready to be told.

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
    splits: Mapping[str, SplitSize]
    partition: Mapping[str, SiteData]
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
    except FednerError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise RunDirectoryError(
            f"{path}: an entry is missing or not as agreed ({problem}); run compare again"
        ) from error


def parse_study(content: Plain) -> Study:
    """Return the typed form of the content of metrics.json."""
    plain = showable(content)
    arms, summary = _section(plain, "arms"), _section(plain, "summary")
    intervals, differences, data = (_section(plain, key) for key in ("intervals", "differences", "data"))
    gap, partition = summary.get("gap_closed"), _section(data, "partition")
    return Study(
        contract_hash=str(_section(plain, "contract").get("hash", "")),
        types=tuple(_section(plain, "contract").get("types") or ()),
        corpus=str(data.get("corpus") or ""),
        splits=_splits(_section(data, "splits") or partition),
        partition={site["site"]: _site_data(site) for site in partition.get("sites") or ()},
        unseen=tuple(_section(data, "unseen")),
        encoding=_each(_section(data, "encoding"), lambda stats: EncodingStats(**stats)),
        leakage=Leakage.from_json(data["leakage"]) if data.get("leakage") else None,
        centralized=_runs(_section(arms, "centralized")),
        federated=_runs(_section(arms, "federated")),
        local=_each(_section(_section(arms, "local"), "sites"), _runs),
        fine_tuned=_each(_section(_section(arms, "fine_tuned"), "sites"), _runs),
        matrix=CrossSiteMatrix.from_json(plain["matrix"]) if plain.get("matrix") else None,
        summaries={arm: _summary(summary[arm]) for arm in ARMS if summary.get(arm)},
        gap_closed=_gap_closed(gap) if gap else None,
        intervals={arm: _model_intervals(intervals[key]) for arm, key in _INTERVALS.items() if intervals.get(key)},
        local_intervals=_each(_section(intervals, "local"), _model_intervals),
        fine_tuned_intervals=_each(_section(intervals, "fine_tuned"), _model_intervals),
        differences={name: _difference(each) for name, each in differences.items() if name not in _PER_SITE and each},
        per_site=_each(_section(differences, "per_site"), _difference),
        per_site_fine_tuned=_each(_section(differences, "per_site_fine_tuned"), _difference),
        tuning={arm: dict(scores) for arm, scores in _section(plain, "tuning").items()},
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


def _each(plain: Plain, read: Callable[[Any], Value]) -> dict[str, Value]:
    return {name: read(value) for name, value in plain.items() if value is not None}


def _runs(plain: Plain) -> Runs:
    seeds = _section(plain, "seeds")
    return {int(seed): run_from_json(seeds[seed]) for seed in sorted(seeds, key=int) if seeds[seed]}


def _interval(bounds: Sequence[float | None] | None) -> Interval:
    return Interval(*bounds) if bounds else Interval()


def _bounds(plain: Plain) -> Interval:
    return Interval(plain.get("low"), plain.get("high"))


def _summary(plain: Plain) -> Summary:
    return Summary(plain["mean"], _bounds(plain), int(plain.get("seeds") or 0))


def _gap_closed(plain: Plain) -> GapClosed:
    return GapClosed(plain.get("mean"), _bounds(plain), float(plain.get("undefined_share") or 0))


def _difference(plain: Plain) -> Difference:
    return Difference(plain["delta"], _bounds(plain), plain.get("p_value"))


def _score_intervals(plain: Plain | None) -> ScoreIntervals:
    found = plain or {}
    return ScoreIntervals(_interval(found.get("micro")), _each(_section(found, "types"), _interval))


def _model_intervals(plain: Plain) -> ModelIntervals:
    return ModelIntervals(_score_intervals(plain.get("test")), _each(_section(plain, "sites"), _score_intervals))


def _split_size(plain: Plain) -> SplitSize:
    counts = (int(plain.get(key) or 0) for key in ("documents", "sentences", "words"))
    return SplitSize(*counts, entities=dict(_section(plain, "entities")))


def _splits(plain: Plain) -> dict[str, SplitSize]:
    return {name: _split_size(plain[name]) for name in SPLITS if plain.get(name)}


def _site_data(plain: Plain) -> SiteData:
    return SiteData(_splits(plain), plain.get("divergence_bits"), _section(plain, "unannotated"))
