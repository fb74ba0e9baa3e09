"""The cross-site matrix as a heat map: F1 of every model on every site's test text, printed in its cell."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from fedner.metrics import CrossSiteMatrix, MatrixCell, first_sites
from fedner.report import wording
from fedner.report.figures.canvas import (
    GROUND,
    HEAT_COLOURS,
    INK,
    WIDE_INCHES,
    Drawing,
    figure,
    finish,
    label,
    style,
)
from fedner.report.study import Study
from fedner.report.tables.matrix import crosses, home_and_away, model_name

SMALLEST_SPAN = 0.2
"""F1 that the colours span at least, so that small differences stay pale ones."""
MOST_SITES_WIDE, MOST_SITES_COMPACT = 20, 10
"""Sites that a figure shows; the table shows all."""
_GAP = 0.25  # between arms, and before the pooled column; in cells
_NARROW_INCHES = 0.46  # cells below this have no room for three digits
_LETTER_INCHES = 0.075


@dataclass(frozen=True)
class _Scale:
    """F1 at the pale end and at the full end of the colours."""

    low: float
    high: float

    def colour(self, f1: float) -> str:
        share = (f1 - self.low) / (self.high - self.low)
        return HEAT_COLOURS[min(int(share * len(HEAT_COLOURS)), len(HEAT_COLOURS) - 1)]


def draw_study_matrix(study: Study, width: float) -> Drawing | None:
    """Draw the matrix of a study that has one."""
    return None if study.matrix is None else draw_matrix(study.matrix, width)


def draw_matrix(matrix: CrossSiteMatrix, width: float) -> Drawing | None:
    """Draw a matrix of at least two models and two texts."""
    if not crosses(matrix):
        return None
    wide = width == WIDE_INCHES
    shown = first_sites(matrix, MOST_SITES_WIDE if wide else MOST_SITES_COMPACT)
    scale = _scale(shown)
    names = [model_name(row, 26 if wide else 22) for row in shown.rows]
    inches = (width - 0.3 - _LETTER_INCHES * max(map(len, names))) / (len(shown.sites) + 1 + _GAP)
    heads = [*(label(site, 22 if wide else 14) for site in shown.sites), "All sites"]
    slanted = any(len(head) * _LETTER_INCHES > inches for head in heads)
    rows = _row_positions(shown)
    with style():
        above = 0.08 + (0.7 * _LETTER_INCHES * max(map(len, heads)) if slanted else 0.2)
        drawn = figure(width, above + 0.29 * (rows[-1] + 1) + 0.1)
        axes = drawn.add_subplot()
        _draw_cells(axes, shown, rows, scale, narrow=inches < _NARROW_INCHES)
        _label_axes(axes, names, rows, heads, slanted)
        return finish("matrix", _TITLE, _description(matrix), _caption(matrix, shown, scale), drawn)


_TITLE = "F1 of every model on every site's test text"


def _description(matrix: CrossSiteMatrix) -> str:
    said = "A row for each model, a column for each site's test text; numbers in the table."
    return " ".join([said, *home_and_away(matrix)])


def _caption(matrix: CrossSiteMatrix, shown: CrossSiteMatrix, scale: _Scale) -> str:
    said = [f"The stronger the colour, the higher F1, from {scale.low:.2f} to {scale.high:.2f}."]
    if any(row.site in shown.sites for row in shown.rows):
        said.append("Framed: a site's model on the site's own test text.")
    if shown.unseen:
        said.append(f"No arm trained on {wording.listed(shown.unseen)}.")
    if len(shown.sites) < len(matrix.sites):
        said.append(f"The first {len(shown.sites)} of {len(matrix.sites)} sites; all are in the table.")
    return " ".join(said)


def _scale(matrix: CrossSiteMatrix) -> _Scale:
    """Return a scale over all cells with something to find, of at least the smallest span and within [0, 1]."""
    scores = [cell.f1 for row in matrix.rows for cell in (*row.cells.values(), row.pooled) if cell.support] or [0.0]
    low, high = min(scores), max(scores)
    missing = max(0.0, SMALLEST_SPAN - (high - low))
    low = max(0.0, low - missing)
    return _Scale(low, max(high, low + SMALLEST_SPAN))


def _row_positions(matrix: CrossSiteMatrix) -> list[float]:
    """Return where each row stands, from the top; models of one kind for all, then those of each arm, with gaps."""
    positions: list[float] = []
    for index, row in enumerate(matrix.rows):
        kind = row.arm if row.site else ""
        before = matrix.rows[index - 1]
        new = index > 0 and kind != (before.arm if before.site else "")
        positions.append(positions[-1] + 1 + (_GAP if new else 0.0) if positions else 0.0)
    return positions


def _draw_cells(axes: Axes, matrix: CrossSiteMatrix, rows: list[float], scale: _Scale, narrow: bool) -> None:
    for row, top in zip(matrix.rows, rows, strict=True):
        for column, site in enumerate(matrix.sites):
            _draw_cell(axes, row.cells[site], (column, top), scale, narrow)
        _draw_cell(axes, row.pooled, (len(matrix.sites) + _GAP, top), scale, narrow)
    # The frames last, so that no neighbour covers them.
    for row, top in zip(matrix.rows, rows, strict=True):
        if row.site in matrix.sites:
            corner = (matrix.sites.index(row.site) + 0.03, top + 0.05)
            axes.add_patch(Rectangle(corner, 0.94, 0.9, fill=False, edgecolor=INK, linewidth=1.6))


def _draw_cell(axes: Axes, cell: MatrixCell, corner: tuple[float, float], scale: _Scale, narrow: bool) -> None:
    left, top = corner
    colour = scale.colour(cell.f1) if cell.support else GROUND
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=colour, edgecolor=GROUND, linewidth=1))
    text = wording.short_score(cell.f1) if narrow else wording.score(cell.f1)
    axes.text(
        left + 0.5,
        top + 0.5,
        text if cell.support else wording.ABSENT,
        ha="center",
        va="center_baseline",
        fontsize=7.5 if narrow else 8.5,
    )


def _label_axes(axes: Axes, names: list[str], rows: list[float], heads: list[str], slanted: bool) -> None:
    columns = [*range(len(heads) - 1), len(heads) - 1 + _GAP]
    axes.set_xlim(0, columns[-1] + 1)
    axes.set_ylim(rows[-1] + 1, 0)
    axes.set_yticks([top + 0.5 for top in rows], labels=names)
    axes.xaxis.tick_top()
    axes.tick_params(axis="x", length=0, labelcolor=INK)
    slant = {"rotation": 45, "ha": "left", "rotation_mode": "anchor"} if slanted else {}
    axes.set_xticks([left + 0.5 for left in columns], labels=heads, **slant)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
