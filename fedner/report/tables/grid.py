"""A table of plain text; whoever draws it escapes it."""

from collections.abc import Iterable
from dataclasses import dataclass

from fedner.report import wording


@dataclass(frozen=True)
class Cell:
    """Text, and what stands smaller beside or under it; `absent` greys out a cell with nothing to say.

    `own` marks a site's model on the site's own text.
    """

    text: str
    detail: str = ""
    own: bool = False

    @property
    def absent(self) -> bool:
        """Whether there is nothing to show."""
        return self.text == wording.ABSENT


@dataclass(frozen=True)
class Column:
    """A heading; numbers are set flush right, and `arm` ties a column to its colour."""

    title: str
    numeric: bool = True
    arm: str = ""


@dataclass(frozen=True)
class Row:
    """Cells, the first of which names the row; `tone` marks rows such as totals or verdicts."""

    cells: tuple[Cell, ...]
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its caption and the notes that its numbers need; shape of every row is (columns,)."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rows)


def row(*cells: Cell | str, tone: str = "") -> Row:
    """Return a row of cells or bare texts."""
    return Row(tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in cells), tone)


def columns(*titles: str, text: Iterable[int] = (0,)) -> tuple[Column, ...]:
    """Return columns of numbers, except those at the indices in `text`."""
    words = set(text)
    return tuple(Column(title, numeric=index not in words) for index, title in enumerate(titles))
