"""The report's figures, as SVG."""

from fedner.report.figures.canvas import COMPACT_INCHES, WIDE_INCHES, Drawing
from fedner.report.figures.curves import draw_curves, draw_rounds
from fedner.report.figures.dots import draw_arms, draw_sites, draw_types
from fedner.report.figures.matrix import draw_matrix, draw_study_matrix
from fedner.report.figures.partition import draw_partition
from fedner.report.study import Study

__all__ = ["COMPACT_INCHES", "WIDE_INCHES", "Drawing", "draw_all", "draw_matrix", "draw_rounds"]


def draw_all(study: Study, width: float = WIDE_INCHES) -> dict[str, Drawing]:
    """Draw every figure that the study has numbers for; name -> figure."""
    every = (draw_arms, draw_curves, draw_types, draw_sites, draw_study_matrix, draw_partition)
    drawn = [draw(study, width) for draw in every]
    return {drawing.name: drawing for drawing in drawn if drawing}
