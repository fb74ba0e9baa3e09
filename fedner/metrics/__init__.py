"""Scoring: count, add, then divide.

counting.py turns tags into counts, scoring.py counts into precision, recall and F1, intervals.py counts per document
into intervals and tests; resampling.py draws the resamples behind them; matrix.py is every model on every site's text.
"""

from fedner.metrics.counting import (
    Counts,
    DocumentCounts,
    count,
    count_documents,
    count_tag_ids,
    only_annotated,
    pool,
    total,
)
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
from fedner.metrics.matrix import CrossSiteMatrix, MatrixCell, MatrixRow, first_sites, own_and_others, pooled_counts
from fedner.metrics.scoring import PRF, Macro, Score, contributions, score, signature

__all__ = [
    "PRF",
    "Counts",
    "CrossSiteMatrix",
    "Difference",
    "DocumentCounts",
    "F1Intervals",
    "GapClosed",
    "Interval",
    "Macro",
    "MatrixCell",
    "MatrixRow",
    "Score",
    "Summary",
    "arm_interval",
    "bootstrap",
    "contributions",
    "count",
    "count_documents",
    "count_tag_ids",
    "first_sites",
    "gap_closed_interval",
    "local_interval",
    "only_annotated",
    "own_and_others",
    "paired_bootstrap",
    "pool",
    "pooled_counts",
    "score",
    "signature",
    "total",
]
