"""The study in the terminal: the summary sentence and three tables, as wide as the window allows."""

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from fedner.report import facts, tables
from fedner.report.sentences import summarise
from fedner.report.study import Study
from fedner.report.tables import Cell, Table

NARROW = 100
"""Columns of the window below which intervals go under their number."""

_STYLES = {"centralized": "blue", "federated": "bold", "local": "green", "verdict-gain": "green", "verdict-loss": "red"}


def print_summary(study: Study, console: Console) -> None:
    """Print the arms, the sites, the entity types and what they say; plain text where there is no terminal."""
    console.print(Text(" · ".join(f"{name} {value}" for name, value in facts.facts(study)), style="dim"))
    for table in (tables.arms_table(study), tables.types_table(study), tables.sites_table(study)):
        if table:
            console.print()
            console.print(_grid(table, narrow=console.width < NARROW))
    statement = summarise(study)
    console.print()
    console.print(Text(statement.headline, style="bold"))
    for sentence in statement.support:
        console.print(Text(sentence))


def _grid(table: Table, narrow: bool) -> Grid:
    grid = Grid(title=Text(table.caption), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    for column in table.columns:
        grid.add_column(Text(column.title), justify="right" if column.numeric else "left", overflow="fold")
    for row in table.rows:
        grid.add_row(*(_text(cell, narrow) for cell in row.cells), style=_STYLES.get(row.tone, ""))
    return grid


def _text(cell: Cell, narrow: bool) -> Text:
    """Return a cell as text that rich does not read as markup."""
    if not cell.detail:
        return Text(cell.text)
    return Text.assemble(cell.text, "\n" if narrow else "  ", (cell.detail, "dim"))
