"""Scoring: count, add, then divide.

counting.py turns tags into counts, scoring.py counts into precision, recall and F1, intervals.py counts per document
into intervals and tests; resampling.py draws the resamples behind them.
"""

from fedner.metrics.counting import Counts, DocumentCounts, count, count_documents, pool, total
from fedner.metrics.intervals import (
    Difference,
    F1Intervals,
    GapClosed,
    Interval,
    Summary,
    arm_interval,
    bootstrap,
    gap_closed_interval,
    local_interval,
    paired_bootstrap,
)
from fedner.metrics.scoring import PRF, Macro, Score, score, signature

__all__ = [
    "PRF",
    "Counts",
    "Difference",
    "DocumentCounts",
    "F1Intervals",
    "GapClosed",
    "Interval",
    "Macro",
    "Score",
    "Summary",
    "arm_interval",
    "bootstrap",
    "count",
    "count_documents",
    "gap_closed_interval",
    "local_interval",
    "paired_bootstrap",
    "pool",
    "score",
    "signature",
    "total",
]
