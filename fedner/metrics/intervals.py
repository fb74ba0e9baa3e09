"""Uncertainty of scores: bootstrap over documents, paired tests, several seeds.

Documents are drawn with replacement (Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 13 for percentile
intervals), not sentences: sentences of one document share names and are not independent.

The same seed and number of documents draw the same resamples, whatever is scored. That is what pairs two arms (Koehn
2004, aclanthology.org/W04-3250; Berg-Kirkpatrick, Burkett & Klein 2012, aclanthology.org/D12-1091), so the arms must
list the same test documents in the same order.

The interval is None when it is undefined: fewer than two documents, or no resample in which F1 is defined. Resamples
in which F1 is 0/0 (a rare type was not drawn) are left out, not counted as 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from fedner.errors import RunError
from fedner.metrics.counting import DocumentCounts
from fedner.metrics.resampling import Floats, draw_seeds, f1, percentiles, resampled_f1

MAX_UNDEFINED = 0.05
"""Share of resamples without a gap to close above which `gap_closed_interval` gives no interval."""


class SummaryJson(TypedDict):
    """S of metrics.json."""

    mean: float
    low: float | None
    high: float | None
    seeds: int


class GapClosedJson(TypedDict):
    """Gap closed in metrics.json."""

    mean: float | None
    low: float | None
    high: float | None
    undefined_share: float


@dataclass(frozen=True)
class Interval:
    """An estimate and its percentile interval."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class F1Intervals:
    """F1 over all entities and per type, in contract order; shape of `types` is (types,)."""

    micro: Interval
    types: tuple[Interval, ...]


@dataclass(frozen=True)
class Difference:
    """Micro F1 of one arm minus another's, its interval, and the two-sided p-value of there being none."""

    delta: float
    low: float | None
    high: float | None
    p_value: float | None


@dataclass(frozen=True)
class Summary:
    """A mean over `seeds` runs and its interval."""

    mean: float
    low: float | None
    high: float | None
    seeds: int

    def to_json(self) -> SummaryJson:
        """Return S of metrics.json."""
        return SummaryJson(mean=self.mean, low=self.low, high=self.high, seeds=self.seeds)


@dataclass(frozen=True)
class GapClosed:
    """(federated - local) / (centralized - local), its interval, and the share of resamples that had no gap."""

    mean: float | None
    low: float | None
    high: float | None
    undefined_share: float

    def to_json(self) -> GapClosedJson:
        """Return gap closed of metrics.json."""
        return GapClosedJson(mean=self.mean, low=self.low, high=self.high, undefined_share=self.undefined_share)


def bootstrap(
    document_counts: DocumentCounts, confidence: float = 0.95, samples: int = 1000, seed: int = 0
) -> F1Intervals:
    """Return percentile intervals of one run's micro F1 and per-type F1 over the test documents.

    Args:
        document_counts: shape (documents, types, 3).
        confidence: coverage, in (0, 1).
    """
    with_micro = np.concatenate([document_counts.sum(axis=1, keepdims=True), document_counts], axis=1)
    estimates = f1(with_micro.sum(axis=0))
    resampled = resampled_f1(with_micro, samples, seed)
    micro, *types = (
        Interval(float(np.nan_to_num(estimate)), *percentiles(values, confidence, len(document_counts)))
        for estimate, values in zip(estimates, resampled.T, strict=True)
    )
    return F1Intervals(micro, tuple(types))


def paired_bootstrap(
    a: DocumentCounts | Sequence[DocumentCounts],
    b: DocumentCounts | Sequence[DocumentCounts],
    confidence: float = 0.95,
    samples: int = 1000,
    seed: int = 0,
) -> Difference:
    """Compare two arms on the same documents: micro F1 of `a` minus that of `b`, each its mean over seeds.

    The p-value is the share of resamples in which the difference strays from the observed one by at least the observed
    difference itself, counted as (hits + 1) / (resamples + 1): the bootstrap distribution shifted to a mean of 0, as
    Berg-Kirkpatrick et al. do, on both sides. It is about other documents, not about other seeds, which are
    averaged, not resampled.

    Args:
        a: counts of one run, shape (documents, types, 3), or of one run per seed.
        b: as `a`, over the same documents in the same order.

    Raises:
        RunError: the two have different documents.
    """
    first, second = _micro_counts([_runs(a)]), _micro_counts([_runs(b)])
    _check_documents([first, second])
    delta = _mean_f1(first) - _mean_f1(second)
    resampled = _resampled_arm(first, samples, seed, None) - _resampled_arm(second, samples, seed, None)
    low, high = percentiles(resampled, confidence, len(first))
    if low is None:
        return Difference(delta, None, None, None)
    defined = resampled[~np.isnan(resampled)]
    hits = int(np.count_nonzero(np.abs(defined - delta) >= abs(delta)))
    return Difference(delta, low, high, (hits + 1) / (len(defined) + 1))


def arm_interval(
    runs: Sequence[DocumentCounts],
    confidence: float = 0.95,
    samples: int = 1000,
    seed: int = 0,
    resample_seeds: bool = True,
) -> Summary:
    """Return the mean over seeds of an arm's micro F1, with an interval over other documents and, on request, seeds.

    A resample draws the documents once for all seeds and averages the seeds' F1; with `resample_seeds` the seeds are
    drawn with replacement as well. Few seeds show little about other seeds: three drawn with replacement show two
    thirds of their variance.

    Args:
        runs: counts per seed, each of shape (documents, types, 3), over the same documents in the same order.

    Raises:
        RunError: there is no run, or the runs have different documents.
    """
    return local_interval([runs], confidence, samples, seed, resample_seeds)


def local_interval(
    sites: Sequence[Sequence[DocumentCounts]],
    confidence: float = 0.95,
    samples: int = 1000,
    seed: int = 0,
    resample_seeds: bool = True,
) -> Summary:
    """Return what `arm_interval` does for the local arm, whose micro F1 is the mean over the sites' models.

    Args:
        sites: counts per site and seed, each of shape (documents, types, 3), over the same documents.

    Raises:
        RunError: as `arm_interval`, or the sites have different numbers of seeds.
    """
    counts = _micro_counts(sites)
    num_seeds = counts.shape[2]
    seed_weights = draw_seeds(num_seeds, samples, seed) if resample_seeds else None
    resampled = _resampled_arm(counts, samples, seed, seed_weights)
    return Summary(_mean_f1(counts), *percentiles(resampled, confidence, len(counts)), num_seeds)


def gap_closed_interval(
    centralized: Sequence[DocumentCounts],
    federated: Sequence[DocumentCounts],
    local: Sequence[Sequence[DocumentCounts]],
    confidence: float = 0.95,
    samples: int = 1000,
    seed: int = 0,
) -> GapClosed:
    """Return which share of the gap between training alone and pooling the federation closes, on micro F1.

    Every resample draws documents and seeds, the same for all arms. Where `centralized <= local` there is no gap to
    close and the ratio means nothing. If that is so for the whole test set, all is None. Such resamples are left out
    and their share is returned; if it exceeds `MAX_UNDEFINED` the interval is None, since leaving out so many would
    narrow it. The estimate is the ratio of means over seeds, not the mean of the seeds' ratios.

    Args:
        centralized: counts per seed, each of shape (documents, types, 3).
        federated: as `centralized`, same seeds in the same order.
        local: counts per site and seed; the local arm's F1 is the mean over sites.

    Raises:
        RunError: the arms have different documents or numbers of seeds.
    """
    arms = [_micro_counts(sites) for sites in ([centralized], [federated], local)]
    _check_documents(arms)
    if len({counts.shape[2] for counts in arms}) > 1:
        found = ", ".join(str(counts.shape[2]) for counts in arms)
        raise RunError(f"gap closed: expected as many seeds in every arm, got {found}; finish the comparison first")
    seed_weights = draw_seeds(arms[0].shape[2], samples, seed)
    pooled, federation, alone = (_resampled_arm(counts, samples, seed, seed_weights) for counts in arms)
    has_gap = pooled > alone
    ratios = np.divide(federation - alone, pooled - alone, where=has_gap, out=np.full(samples, np.nan))
    undefined_share = float(1 - np.count_nonzero(has_gap) / samples)
    best, joined, least = (_mean_f1(counts) for counts in arms)
    if best <= least:
        return GapClosed(None, None, None, undefined_share)
    low, high = percentiles(ratios, confidence, len(arms[0])) if undefined_share <= MAX_UNDEFINED else (None, None)
    return GapClosed((joined - least) / (best - least), low, high, undefined_share)


def _runs(counts: DocumentCounts | Sequence[DocumentCounts]) -> Sequence[DocumentCounts]:
    """Return one run, or one per seed, as a sequence of runs."""
    return [counts] if isinstance(counts, np.ndarray) and counts.ndim == 3 else list(counts)


def _micro_counts(sites: Sequence[Sequence[DocumentCounts]]) -> NDArray[np.int64]:
    """Return counts over all types; shape (documents, sites, seeds, 3)."""
    if not sites or len({len(runs) for runs in sites}) > 1 or not sites[0]:
        raise RunError(
            f"intervals: expected one run or more, as many for each site, got {[len(runs) for runs in sites]}"
        )
    sums = [[run.sum(axis=1) for run in runs] for runs in sites]
    if len({micro.shape for runs in sums for micro in runs}) > 1:
        raise RunError(f"intervals: expected the same test documents in every run, got {_sizes(sums)} documents")
    return np.moveaxis(np.asarray(sums, dtype=np.int64), 2, 0)


def _check_documents(arms: Sequence[NDArray[np.int64]]) -> None:
    if len({len(counts) for counts in arms}) > 1:
        raise RunError(f"intervals: expected the same test documents in every arm, got {_sizes([arms])} documents")


def _sizes(runs: Sequence[Sequence[NDArray[np.int64]]]) -> str:
    return ", ".join(str(size) for size in sorted({len(counts) for each in runs for counts in each}))


def _mean_f1(counts: NDArray[np.int64]) -> float:
    """Return the mean over sites and seeds of micro F1, 0/0 being 0; counts of shape (documents, sites, seeds, 3)."""
    return float(np.nan_to_num(f1(counts.sum(axis=0))).mean())


def _resampled_arm(counts: NDArray[np.int64], samples: int, seed: int, seed_weights: Floats | None) -> Floats:
    """Return an arm's micro F1 in every resample, the mean over sites and (weighted) seeds.

    Args:
        counts: shape (documents, sites, seeds, 3).
        seed_weights: shape (samples, seeds); None weighs the seeds alike.

    Returns:
        Shape (samples,).
    """
    by_seed = resampled_f1(counts, samples, seed).mean(axis=1)
    return by_seed.mean(axis=1) if seed_weights is None else (by_seed * seed_weights).sum(axis=1)
