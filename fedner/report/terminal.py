"""The study in the terminal: the summary sentence and its tables, as wide as the window allows."""

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from fedner.metrics import CrossSiteMatrix
from fedner.report import facts, tables
from fedner.report.sentences import summarise
from fedner.report.study import Study
from fedner.report.tables import Cell, Table
from fedner.report.tables.matrix import crosses, narrower

NARROW = 100
"""Columns of the window below which intervals go under their number."""

CROWDED = 8
"""Columns of a table above which it shows no intervals, unless the window is very wide."""
VERY_WIDE = 150

_STYLES = {
    "centralized": "blue",
    "federated": "bold",
    "local": "green",
    "fine_tuned": "magenta",
    "verdict-gain": "green",
    "verdict-loss": "red",
}


def print_summary(study: Study, console: Console) -> None:
    """Print the arms, the sites, the entity types and what they say; plain text where there is no terminal."""
    console.print(Text(" · ".join(f"{name} {value}" for name, value in facts.facts(study)), style="dim"))
    for table in (tables.arms_table(study), tables.types_table(study), tables.sites_table(study)):
        if table:
            console.print()
            crowded = len(table.columns) > CROWDED and console.width < VERY_WIDE
            console.print(_grid(table, narrow=console.width < NARROW, bare=crowded))
    if study.matrix is not None and crosses(study.matrix):
        console.print()
        print_matrix(study.matrix, console, "report/report.md")
    statement = summarise(study)
    console.print()
    console.print(Text(statement.headline, style="bold"))
    for sentence in statement.support:
        console.print(Text(sentence))


def print_matrix(matrix: CrossSiteMatrix, console: Console, whole: str) -> None:
    """Print every model on every site's text, as much of it as the window has room for.

    Args:
        whole: where the whole matrix is found.
    """
    forms = list(narrower(matrix, whole))
    # Measured as in an endless window: rich would count a table that it must squeeze as one that fits.
    endless = console.options.update_width(10_000)
    grids = ((form, _grid(form, narrow=True, tight=True)) for form in forms)
    fitting = (form for form, grid in grids if console.measure(grid, options=endless).maximum <= console.width)
    table = next(fitting, forms[-1])
    console.print(_grid(table, narrow=True, tight=True))
    for note in table.notes:
        console.print(Text(note, style="dim"))


def _grid(table: Table, narrow: bool, bare: bool = False, tight: bool = False) -> Grid:
    grid = Grid(
        title=Text(table.caption),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=tight,
        expand=False,
    )
    for column in table.columns:
        # Where room is short a heading stands one word a line, or words in narrower columns would be broken for it.
        title = Text("\n".join(column.title.split()) if bare else column.title)
        grid.add_column(title, justify="right" if column.numeric else "left", overflow="fold")
    for row in table.rows:
        grid.add_row(*(_text(cell, narrow, bare) for cell in row.cells), style=_STYLES.get(row.tone, ""))
    return grid


def _text(cell: Cell, narrow: bool, bare: bool) -> Text:
    """Return a cell as text that rich does not read as markup."""
    text = f"▸{cell.text}" if cell.own else cell.text
    if bare or not cell.detail:
        return Text(text)
    return Text.assemble(text, "\n" if narrow else "  ", (cell.detail, "dim"))
