"""From metrics.json to what people read: HTML, Markdown, figures and a table in the terminal."""

from fedner.report.study import Study, parse_study, read_study
from fedner.report.terminal import print_matrix, print_summary
from fedner.report.writing import ReportPaths, write_matrix, write_report

__all__ = [
    "ReportPaths",
    "Study",
    "parse_study",
    "print_matrix",
    "print_summary",
    "read_study",
    "write_matrix",
    "write_report",
]
