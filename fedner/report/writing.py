"""Writing the report beside its metrics.json; the same numbers give the same bytes."""

from dataclasses import dataclass
from pathlib import Path

from fedner.files import write_text
from fedner.metrics import CrossSiteMatrix
from fedner.report.study import Study, read_study


@dataclass(frozen=True)
class ReportPaths:
    """The files of a report."""

    html: Path
    markdown: Path
    figures: tuple[Path, ...]


def write_report(study_directory: Path) -> ReportPaths:
    """Write `report/index.html`, `report/report.md` and `report/figures/*.svg` of a study or run directory.

    Raises:
        RunDirectoryError: as `read_study`.
    """
    return write_study(read_study(study_directory), study_directory / "report")


def write_study(study: Study, folder: Path) -> ReportPaths:
    """Write the report of a study into a folder; figures of an earlier report that the study no longer has go."""
    # Drawing needs matplotlib and jinja2, which no other verb should wait for.
    from fedner.report.figures import COMPACT_INCHES, draw_all
    from fedner.report.html import render_html
    from fedner.report.markdown import render_markdown

    drawings = draw_all(study)
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    paths = tuple(figures / f"{name}.svg" for name in drawings)
    for path, drawing in zip(paths, drawings.values(), strict=True):
        write_text(path, drawing.svg)
    for path in set(figures.glob("*.svg")) - set(paths):
        path.unlink()
    html, markdown = folder / "index.html", folder / "report.md"
    write_text(markdown, render_markdown(study, drawings))
    write_text(html, render_html(study, drawings, draw_all(study, COMPACT_INCHES)))
    return ReportPaths(html, markdown, paths)


def write_matrix(matrix: CrossSiteMatrix, folder: Path, signature: str) -> None:
    """Write `matrix.md`, and `matrix.svg` where there is something to cross, of models that came from no study."""
    from fedner.report.figures import WIDE_INCHES, draw_matrix
    from fedner.report.markdown import render_matrix

    folder.mkdir(parents=True, exist_ok=True)
    drawing = draw_matrix(matrix, WIDE_INCHES)
    if drawing is not None:
        write_text(folder / "matrix.svg", drawing.svg)
    write_text(folder / "matrix.md", render_matrix(matrix, drawing, signature))
