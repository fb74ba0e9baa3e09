"""Sizes and entity types of text: what a corpus holds, and what a site file makes of a site's own types."""

from rich.markup import escape
from rich.table import Table

from fedner.data.checking import CorpusStats
from fedner.data.corpus import SPLITS
from fedner.data.mapping_check import MappingReport
from fedner.report.text.grid import grid


def stats_table(statistics: CorpusStats) -> Table:
    """Return the statistics as a table: a row for each size and entity type, a column for each split."""
    table = grid(statistics.name, ("", *statistics.splits), statistics.splits)
    splits = list(statistics.splits.values())
    for name in ("documents", "sentences", "words", "longest_sentence"):
        table.add_row(name.replace("_", " "), *(f"{getattr(sizes, name):,}" for sizes in splits))
    table.add_row("entities", *(f"{sum(sizes.entities.values()):,}" for sizes in splits), end_section=True)
    for name in splits[0].entities:
        table.add_row(escape(name), *(f"{sizes.entities[name]:,}" for sizes in splits))
    return table


def mapping_tables(report: MappingReport) -> list[Table]:
    """Return the own types with what becomes of them, and the contract's with what they hold afterwards."""
    before = grid(f"{report.site}: own types", ("own type", "becomes", *SPLITS, "such as"), SPLITS)
    for own in report.own:
        target = "(dropped)" if own.target is None else own.target
        numbers = [f"{own.entities.get(split, 0):,}" for split in SPLITS]
        before.add_row(escape(own.name), escape(target), *numbers, escape(" | ".join(own.examples)))
    after = grid("under the contract", ("type", *SPLITS), SPLITS)
    for each in report.contract:
        cells = ["not annotated" if split in each.unannotated else f"{each.entities[split]:,}" for split in SPLITS]
        after.add_row(escape(each.name), *cells)
    return [before, after]
