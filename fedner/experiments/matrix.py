"""The cross-site matrix of a study: every arm's and every site's model on every site's test text."""

from collections.abc import Mapping
from typing import Any

from fedner.config import Arm
from fedner.data.simulated_sites import Sites
from fedner.experiments.study_directory import Finished, Unit
from fedner.metrics import CrossSiteMatrix, MatrixCell, MatrixRow, pooled_counts
from fedner.records.results import StoredRun


def study_matrix(finished: Finished, sites: Sites, intervals: Mapping[str, Any]) -> CrossSiteMatrix:
    """Return the matrix of all runs so far, arm by arm.

    Args:
        intervals: `intervals` of metrics.json, which has those of every cell.
    """
    taking_part = [shard.site for shard in sites.shards]
    unseen = [shard.site for shard in sites.unseen]
    units = [unit for arm in Arm for unit in finished.of(arm)]
    return CrossSiteMatrix(
        sites=(*taking_part, *unseen),
        unseen=tuple(unseen),
        types=sites.corpus.contract.type_names,
        rows=tuple(
            _row(unit, finished.runs[unit], [*taking_part, *unseen], taking_part, intervals[unit.arm.value])
            for unit in units
        ),
    )


def _row(
    unit: Unit, runs: Mapping[int, StoredRun], sites: list[str], pooled: list[str], intervals: Mapping[str, Any]
) -> MatrixRow:
    counts = {site: {seed: run.result.sites[site].counts for seed, run in runs.items()} for site in sites}
    intervals = intervals[unit.site] if unit.site else intervals  # an arm with one model each has a group for each site
    bounds = {site: intervals["sites"][site]["micro"] for site in sites}
    return MatrixRow(
        model=unit.label,
        arm=unit.arm.value,
        site=unit.site,
        pooled=MatrixCell(pooled_counts(counts, pooled), *intervals["test"]["micro"]),
        cells={site: MatrixCell(counts[site], *bounds[site]) for site in sites},
    )
