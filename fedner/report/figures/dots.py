"""Dot plots: scores of the arms side by side, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fedner.report import wording
from fedner.report.averages import (
    Mean,
    arms_of,
    on_site,
    on_test,
    on_test_interval,
    on_type,
    runs_of,
    site_interval,
    sites_of,
    type_interval,
    unseen_of,
)
from fedner.report.figures.canvas import (
    ARM_COLOURS,
    ARM_MARKERS,
    GROUND,
    LINE,
    MAX_ROWS,
    Drawing,
    add_legend,
    figure,
    finish,
    label,
    rows_from_top,
    style,
)
from fedner.report.study import Study
from fedner.report.wording import Bounds

SMALLEST_SPAN = 0.1
"""F1 that the axis covers at least."""


@dataclass(frozen=True)
class Dot:
    """One arm's F1 in one row; `spread` are the single models behind a mean, where they are shown."""

    arm: str
    f1: float
    interval: Bounds
    spread: tuple[float, ...] = ()


@dataclass(frozen=True)
class DotRow:
    """A name and the arms' dots."""

    name: str
    dots: tuple[Dot, ...]


def draw_arms(study: Study, width: float) -> Drawing | None:
    """Draw each arm's F1 on the pooled test set, where there is more than one; ticks for the single models."""
    rows = [DotRow(wording.ARM_NAMES[arm], (dot,)) for arm in arms_of(study) if (dot := _test_dot(study, arm))]
    if len(rows) < 2:
        return None
    description = "; ".join(f"{row.name} {row.dots[0].f1:.3f}" for row in rows) + "."
    caption = f"{_lines(rows)}Ticks: single trained models."
    return _draw("arms", "F1 on the pooled test set", description, caption, rows, width, legend=False)


def draw_types(study: Study, width: float) -> Drawing | None:
    """Draw F1 per entity type and arm on the pooled test set."""
    rows: list[DotRow] = []
    for name in study.types[:MAX_ROWS]:
        means = {arm: on_type(study, arm, name) for arm in arms_of(study)}
        intervals = {arm: type_interval(study, arm, name) for arm in means}
        rows.extend(_row(name, means, intervals))
    description, caption = (
        "Dots per entity type and arm; numbers in the table.",
        _caption(rows, len(study.types), "types"),
    )
    return _draw("types", "F1 per entity type", description, caption, rows, width)


def draw_sites(study: Study, width: float) -> Drawing | None:
    """Draw F1 per site and arm on the site's own test shard."""
    rows: list[DotRow] = []
    sites = (*sites_of(study), *unseen_of(study))
    for site in sites[:MAX_ROWS]:
        means = {arm: on_site(study, arm, site) for arm in arms_of(study)}
        intervals = {arm: site_interval(study, arm, site) for arm in means}
        rows.extend(_row(site, means, intervals))
    description, caption = "Dots per site and arm; numbers in the table.", _caption(rows, len(sites), "sites")
    return _draw("sites", "F1 on each site's own test text", description, caption, rows, width)


def legend_handles(arms: Sequence[str]) -> list[Line2D]:
    """Return what the legend shows for each arm."""
    return [
        Line2D([], [], color=ARM_COLOURS[arm], marker=ARM_MARKERS[arm], label=wording.ARM_NAMES[arm], linewidth=2)
        for arm in arms
    ]


def _caption(rows: list[DotRow], found: int, noun: str) -> str:
    shown = f" The first {MAX_ROWS} of {found} {noun}; all are in the table." if found > MAX_ROWS else ""
    return f"{_lines(rows)}In brackets: entities in the test text.{shown}"


def _lines(rows: list[DotRow]) -> str:
    known = any(dot.interval.low is not None for row in rows for dot in row.dots)
    return "Lines: intervals. " if known else ""


def _test_dot(study: Study, arm: str) -> Dot | None:
    mean = on_test(study, arm)
    if mean is None:
        return None
    spread = tuple(run.test.micro.f1 for run in runs_of(study, arm))
    return Dot(arm, mean.f1, on_test_interval(study, arm), spread if len(spread) > 1 else ())


def _row(name: str, means: dict[str, Mean | None], intervals: Mapping[str, Bounds]) -> list[DotRow]:
    """Return a row, or none where the text has no such entities."""
    found = {arm: mean for arm, mean in means.items() if mean and mean.support}
    dots = tuple(Dot(arm, mean.f1, intervals[arm]) for arm, mean in found.items())
    support = next((mean.support for mean in found.values()), 0)
    return [DotRow(f"{label(name)}  ({wording.number(support)})", dots)] if dots else []


def _draw(
    name: str, title: str, description: str, caption: str, rows: list[DotRow], width: float, legend: bool = True
) -> Drawing | None:
    if not rows:
        return None
    with style():
        arms = list(dict.fromkeys(dot.arm for row in rows for dot in row.dots))
        drawn = figure(width, 0.75 + (0.34 * legend) + len(rows) * (0.22 + 0.14 * (len(arms) if legend else 1)))
        axes = drawn.add_subplot()
        rows_from_top(axes, [row.name for row in rows])
        for position, row in enumerate(rows):
            _draw_row(axes, position, row, arms if legend else [row.dots[0].arm])
        axes.margins(x=0.04)
        axes.set_xlim(*_widened(*axes.get_xlim()))
        axes.set_xlabel("F1")
        if legend:
            add_legend(drawn, legend_handles(arms))
        if axes.get_xlim()[0] > 0:
            caption += " The axis does not start at zero."
        return finish(name, title, description, caption, drawn)


def _draw_row(axes: Axes, position: int, row: DotRow, arms: Sequence[str]) -> None:
    if position:
        axes.axhline(position - 0.5, color=LINE, linewidth=0.6)
    for dot in row.dots:
        height = position + 0.24 * (arms.index(dot.arm) - (len(arms) - 1) / 2)
        colour = ARM_COLOURS[dot.arm]
        if dot.interval.low is not None and dot.interval.high is not None:
            axes.plot([dot.interval.low, dot.interval.high], [height] * 2, color=colour, linewidth=2, alpha=0.55)
        axes.plot(dot.spread, [height] * len(dot.spread), "|", color=colour, markersize=9, alpha=0.7)
        marker = ARM_MARKERS[dot.arm]
        axes.plot([dot.f1], [height], marker, color=colour, markersize=7, markeredgecolor=GROUND, zorder=3)


def _widened(low: float, high: float) -> tuple[float, float]:
    """Return limits of the axis that do not blow a small difference up to the full width."""
    missing = max(0.0, SMALLEST_SPAN - (high - low)) / 2
    return low - missing, high + missing
