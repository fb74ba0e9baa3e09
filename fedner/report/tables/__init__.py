"""The report's tables, filled once and drawn three times: as HTML, as Markdown and in the terminal."""

from fedner.report.tables.costs import costs_table, refusals_table, runs_table
from fedner.report.tables.data import encoding_table, partition_table, splits_table, tuning_table
from fedner.report.tables.grid import Cell, Column, Row, Table
from fedner.report.tables.matrix import matrix_table
from fedner.report.tables.scores import arms_table, interval_cell, sites_table, types_table

__all__ = [
    "Cell",
    "Column",
    "Row",
    "Table",
    "arms_table",
    "costs_table",
    "encoding_table",
    "interval_cell",
    "matrix_table",
    "partition_table",
    "refusals_table",
    "runs_table",
    "sites_table",
    "splits_table",
    "tuning_table",
    "types_table",
]
