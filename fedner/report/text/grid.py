"""The tables of this folder: a title, columns, and as many rows as a terminal suits."""

from collections.abc import Collection, Iterable

from rich.table import Table

ROWS = 10
"""Findings of a kind that a table lists; the JSON report has all."""


def grid(title: str, columns: Iterable[str], numbers: Collection[str] = ()) -> Table:
    """Return an empty table; columns of `numbers` are set to the right."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left")
    return table


def counted(what: str, number: int) -> str:
    """Return the title of a table that lists the first `ROWS` of some findings."""
    return f"{what}: {number:,}" if number <= ROWS else f"{what}: the first {ROWS} of {number:,}"
