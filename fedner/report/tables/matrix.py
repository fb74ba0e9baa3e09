"""The cross-site matrix as a table: every model on every site's test text."""

from collections.abc import Callable, Iterator

from fedner.metrics import CrossSiteMatrix, MatrixCell, MatrixRow, first_sites, own_and_others
from fedner.report import wording
from fedner.report.study import Study
from fedner.report.tables.grid import Cell, Column, Row, Table, row

MOST_WITH_INTERVALS = 5
"""Columns up to which a page has room for intervals under the scores."""
MOST_IN_TERMINAL = 12
"""Sites that a terminal shows."""
_NAME_LENGTH = 26


def matrix_table(study: Study) -> Table:
    """Return the matrix of a study; empty where there is nothing to cross."""
    if study.matrix is None or not crosses(study.matrix):
        return Table("matrix", "", (), ())
    return matrix_rows(study.matrix, notes=matrix_notes(study.matrix))


def matrix_notes(matrix: CrossSiteMatrix) -> tuple[str, ...]:
    """Return what a reader of the whole matrix needs."""
    return (*_mark_note(matrix), *home_and_away(matrix), *_pooled_note(matrix), *_small_note(matrix))


def crosses(matrix: CrossSiteMatrix) -> bool:
    """Return whether there is more than one model and more than one text."""
    return len(matrix.rows) > 1 and len(matrix.sites) > 1


def matrix_rows(
    matrix: CrossSiteMatrix,
    titles: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    most: int = 200,
    short: bool = False,
) -> Table:
    """Return any matrix as a table.

    Args:
        titles: of all columns but the first; the names of the sites unless given.
        most: letters of a model's name.
        short: scores of two digits and no intervals.
    """
    write = wording.short_score if short else wording.score
    small = not short and not titles and len(matrix.sites) < MOST_WITH_INTERVALS
    several = max(len(found.pooled.counts) for found in matrix.rows) > 1
    names = (f"{site} (unseen)" if site in matrix.unseen else site for site in matrix.sites)
    return Table(
        "matrix",
        f"F1 of every model on every site's test text{', mean over seeds' if several else ''}",
        (Column("Model", numeric=False), *map(Column, titles or (*names, "All sites"))),
        tuple(_row(matrix, found, small, write, most) for found in matrix.rows),
        notes,
    )


def narrower(matrix: CrossSiteMatrix, whole: str) -> Iterator[Table]:
    """Yield the matrix for a terminal, from the widest form to the narrowest; the first that fits is to be taken.

    Args:
        whole: where the whole matrix is found.
    """
    shown = first_sites(matrix, MOST_IN_TERMINAL)
    if shown == matrix:
        yield matrix_rows(matrix, (*matrix.sites, "All sites"), tuple(_mark_note(matrix)), _NAME_LENGTH)
    for number in range(len(shown.sites), 0, -1):
        cut = first_sites(shown, number)
        key = ", ".join(f"{index} {site}" for index, site in enumerate(cut.sites, start=1))
        notes = [*_mark_note(matrix), f"Columns: {key}."]
        if number < len(matrix.sites):
            notes.append(f"The first {number} of {len(matrix.sites)} sites; all are in {whole}.")
        titles = (*(str(index) for index in range(1, number + 1)), "All")
        yield matrix_rows(cut, titles, tuple(notes), _NAME_LENGTH, short=True)


def model_name(found: MatrixRow, most: int = 200) -> str:
    """Return what a row is called in so many letters; of a long site name the end goes, not how it was trained."""
    how = {"local": ", alone", "fine_tuned": ", fine-tuned"}.get(found.arm, "")
    who = found.site if how else wording.ARM_NAMES.get(found.arm, found.model)
    return wording.shortened(who, most - len(how)) + how


def home_and_away(matrix: CrossSiteMatrix) -> Iterator[str]:
    """Yield how the sites' models do on their own text and on the others', arm by arm."""
    who = {"local": "trained alone", "fine_tuned": "fine-tuned", "": "given here"}
    for arm, how in who.items():
        found = own_and_others(matrix, arm)
        if found is not None:
            own, others = map(wording.score, found)
            yield f"Models {how}: F1 {own} on their own site's text, {others} on other sites', on average."


def _row(matrix: CrossSiteMatrix, found: MatrixRow, small: bool, write: Callable[[float], str], most: int) -> Row:
    cells = [_cell(found.cells[site], small, write, own=site == found.site) for site in matrix.sites]
    return row(model_name(found, most), *cells, _cell(found.pooled, small, write, own=False), tone=found.arm)


def _cell(cell: MatrixCell, small: bool, write: Callable[[float], str], own: bool) -> Cell:
    if cell.support == 0:
        return Cell(wording.ABSENT, "none in test text" if small else "")
    bounds = wording.interval(cell)
    return Cell(write(cell.f1), bounds if small and bounds != wording.ABSENT else "", own)


def _mark_note(matrix: CrossSiteMatrix) -> Iterator[str]:
    if any(found.site in matrix.sites for found in matrix.rows):
        yield "Marked: a site's model on the site's own test text."


def _pooled_note(matrix: CrossSiteMatrix) -> Iterator[str]:
    if matrix.unseen:
        verb = "is" if len(matrix.unseen) == 1 else "are"
        yield f"All sites: their test text together; {wording.listed(matrix.unseen)} took no part and {verb} left out."
    else:
        yield "All sites: their test text together."


def _small_note(matrix: CrossSiteMatrix) -> Iterator[str]:
    known = any(cell.low is not None for found in matrix.rows for cell in found.cells.values())
    where = "matrix.json" if any(not found.arm for found in matrix.rows) else "metrics.json, under matrix"
    if known and len(matrix.sites) < MOST_WITH_INTERVALS:
        yield f"Small: interval over the test text. Counts by entity type are in {where}."
    else:
        yield f"Counts by entity type{', and intervals,' if known else ''} are in {where}."
