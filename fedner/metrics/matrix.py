"""Every model on every site's test text: counts in each cell, divided cell by cell.

A row is a model (of several seeds: one run each), a column a site. F1 of a cell is the mean over seeds of scores that
were each divided from their own counts, as everywhere. The pooled column adds up the counts of the sites that take
part; unseen sites stay apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TypedDict

from fedner.metrics.counting import Counts, pool
from fedner.metrics.scoring import PRF


class RunCellJson(TypedDict):
    """One run in a cell: over all types, and tp, fp, fn by type."""

    f1: float
    tp: int
    fp: int
    fn: int
    types: dict[str, list[int]]


class CellJson(TypedDict):
    """CELL of metrics.json: the mean over seeds with its interval, and every run's counts."""

    f1: float
    low: float | None
    high: float | None
    support: int
    seeds: dict[str, RunCellJson]


class RowJson(TypedDict):
    """One model of the matrix in metrics.json."""

    model: str
    arm: str
    site: str
    pooled: CellJson
    sites: dict[str, CellJson]


class MatrixJson(TypedDict):
    """The matrix in metrics.json."""

    sites: list[str]
    unseen: list[str]
    types: list[str]
    rows: list[RowJson]


@dataclass(frozen=True)
class MatrixCell:
    """One model on one text: counts by seed, and the interval of their mean micro F1 where there is one."""

    counts: Mapping[int, Counts]
    low: float | None = None
    high: float | None = None

    @property
    def f1(self) -> float:
        """Micro F1, mean over seeds."""
        return fmean(_micro(counts).f1 for counts in self.counts.values())

    @property
    def support(self) -> int:
        """Gold entities in the text."""
        return _micro(next(iter(self.counts.values()))).support


@dataclass(frozen=True)
class MatrixRow:
    """One model on every text.

    `arm` is empty where the model comes from no study; `site` is the site that the model is of, or empty.
    """

    model: str
    arm: str
    site: str
    pooled: MatrixCell
    cells: Mapping[str, MatrixCell]


@dataclass(frozen=True)
class CrossSiteMatrix:
    """Models x sites; `sites` names the columns in order, those in `unseen` are no part of the pooled column."""

    sites: tuple[str, ...]
    unseen: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[MatrixRow, ...]

    def to_json(self) -> MatrixJson:
        """Return the matrix of metrics.json."""
        return MatrixJson(
            sites=list(self.sites),
            unseen=list(self.unseen),
            types=list(self.types),
            rows=[_row_to_json(row, self.types) for row in self.rows],
        )

    @classmethod
    def from_json(cls, plain: MatrixJson) -> "CrossSiteMatrix":
        """Read the matrix of metrics.json; the inverse of `to_json`."""
        types = tuple(plain["types"])
        rows = tuple(_row_from_json(row, types) for row in plain["rows"])
        return cls(tuple(plain["sites"]), tuple(plain["unseen"]), types, rows)


def pooled_counts(cells: Mapping[str, Mapping[int, Counts]], sites: Sequence[str]) -> dict[int, Counts]:
    """Return a model's counts on all of these sites together, by seed.

    Args:
        cells: counts by site and seed; every site has the same seeds.
    """
    seeds = cells[sites[0]]
    return {seed: pool(cells[site][seed] for site in sites) for seed in seeds}


def first_sites(matrix: CrossSiteMatrix, number: int) -> CrossSiteMatrix:
    """Return the matrix with its first sites only, and without the models of the other sites."""
    sites = matrix.sites[:number]
    gone = set(matrix.sites[number:])
    rows = tuple(
        replace(row, cells={site: row.cells[site] for site in sites}) for row in matrix.rows if row.site not in gone
    )
    return replace(matrix, sites=sites, unseen=tuple(site for site in matrix.unseen if site in sites), rows=rows)


def own_and_others(matrix: CrossSiteMatrix, arm: str) -> tuple[float, float] | None:
    """Return how an arm's models do at home and away: mean F1 on the site's own text, and on the other sites'.

    None where fewer than two sites have such a model, or a text that some entity stands in.
    """
    rows = [row for row in matrix.rows if row.arm == arm and row.site]
    at_home: list[float] = []
    away: list[float] = []
    for row in rows:
        for site, cell in row.cells.items():
            if cell.support and site not in matrix.unseen:
                (at_home if site == row.site else away).append(cell.f1)
    return (fmean(at_home), fmean(away)) if len(at_home) > 1 and away else None


def _micro(counts: Counts) -> PRF:
    return PRF.of(sum(counts.tp), sum(counts.fp), sum(counts.fn))


def _row_to_json(row: MatrixRow, types: Sequence[str]) -> RowJson:
    return RowJson(
        model=row.model,
        arm=row.arm,
        site=row.site,
        pooled=_cell_to_json(row.pooled, types),
        sites={site: _cell_to_json(cell, types) for site, cell in row.cells.items()},
    )


def _row_from_json(plain: RowJson, types: Sequence[str]) -> MatrixRow:
    cells = {site: _cell_from_json(cell, types) for site, cell in plain["sites"].items()}
    pooled = _cell_from_json(plain["pooled"], types)
    return MatrixRow(plain["model"], plain["arm"], plain["site"], pooled, cells)


def _cell_to_json(cell: MatrixCell, types: Sequence[str]) -> CellJson:
    seeds = {str(seed): _run_to_json(counts, types) for seed, counts in cell.counts.items()}
    return CellJson(f1=cell.f1, low=cell.low, high=cell.high, support=cell.support, seeds=seeds)


def _cell_from_json(plain: CellJson, types: Sequence[str]) -> MatrixCell:
    counts = {int(seed): _counts(run, types) for seed, run in plain["seeds"].items()}
    if not counts:
        raise ValueError("a cell of the matrix has no run")
    return MatrixCell(counts, plain["low"], plain["high"])


def _run_to_json(counts: Counts, types: Sequence[str]) -> RunCellJson:
    micro = _micro(counts)
    by_type = zip(types, counts.tp, counts.fp, counts.fn, strict=True)
    return RunCellJson(
        f1=micro.f1, tp=micro.tp, fp=micro.fp, fn=micro.fn, types={name: list(each) for name, *each in by_type}
    )


def _counts(plain: RunCellJson, types: Sequence[str]) -> Counts:
    tp, fp, fn = (tuple(int(plain["types"][name][index]) for name in types) for index in range(3))
    return Counts(tp, fp, fn)
