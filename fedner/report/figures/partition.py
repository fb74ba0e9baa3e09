"""The partition: which entity types each site holds, and how much text."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from fedner.report import wording
from fedner.report.averages import sites_of
from fedner.report.figures.canvas import (
    GROUND,
    MAX_ROWS,
    MUTED,
    ON_COLOUR,
    TYPE_COLOURS,
    WIDE_INCHES,
    Drawing,
    add_legend,
    figure,
    finish,
    label,
    rows_from_top,
    style,
)
from fedner.report.study import Study

SMALLEST_LABELLED = 0.055
"""Share of a bar from which on it is wide enough for its number, in a wide figure."""


def draw_partition(study: Study, width: float) -> Drawing | None:
    """Draw the mix of entity types in each site's training text, beside its size."""
    sizes = {site: study.partition[site].train for site in sites_of(study) if site in study.partition}
    if not sizes:
        return None
    shown = list(sizes)[:MAX_ROWS]
    groups = _grouped(study.types, [size.entities for size in sizes.values()])
    counts = {site: _counts(groups, sizes[site].entities) for site in shown}
    pooled = np.sum([_counts(groups, size.entities) for size in sizes.values()], axis=0)
    with style():
        drawn = figure(width, 1.2 + 0.32 * (len(shown) + 1))
        mix, amount = drawn.subplots(1, 2, sharey=True, width_ratios=[3, 1.2])
        rows_from_top(mix, ["All sites", *(label(site) for site in shown)])
        _draw_mix(mix, np.array([pooled, *counts.values()], dtype=np.float64), SMALLEST_LABELLED * WIDE_INCHES / width)
        _draw_amount(amount, [sizes[site].sentences for site in shown])
        patches = [Patch(color=_colour(index), label=label(name)) for index, name in enumerate(groups)]
        add_legend(drawn, patches)
        description = (
            "Share of each entity type in every site's training text, and its sentences; numbers in the table."
        )
        caption = (
            "" if len(shown) == len(sizes) else f"The first {len(shown)} of {len(sizes)} sites; all are in the table."
        )
        return finish("partition", "Entity types and text of each site", description, caption, drawn)


def _grouped(types: Sequence[str], sites: Sequence[Mapping[str, int]]) -> dict[str, tuple[str, ...]]:
    """Return the types that get a colour; where there are more, the rarest share the last one."""
    if len(types) <= len(TYPE_COLOURS):
        return {name: (name,) for name in types}
    totals = {name: sum(entities.get(name, 0) for entities in sites) for name in types}
    kept = sorted(types, key=lambda name: -totals[name])[: len(TYPE_COLOURS) - 1]
    rest = tuple(name for name in types if name not in kept)
    return {name: (name,) for name in types if name in kept} | {f"{len(rest)} other types": rest}


def _counts(groups: Mapping[str, tuple[str, ...]], entities: Mapping[str, int]) -> list[int]:
    return [sum(entities.get(name, 0) for name in names) for names in groups.values()]


def _draw_mix(axes: Axes, counts: np.ndarray, smallest: float) -> None:
    """Draw one bar per row of `counts`, shape (sites + 1, groups), each filling the same width."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    starts = np.cumsum(shares, axis=1) - shares
    positions = np.arange(len(counts))
    for index, (share, start) in enumerate(zip(shares.T, starts.T, strict=True)):
        axes.barh(positions, share, left=start, height=0.72, color=_colour(index), edgecolor=GROUND, linewidth=0.8)
        for position in np.flatnonzero(share >= smallest).tolist():
            middle = start[position] + share[position] / 2
            text = wording.percent(share[position])
            axes.text(middle, position, text, ha="center", va="center_baseline", color=ON_COLOUR, fontsize=7.5)
    axes.set_xlim(0, 1)
    axes.set_xticks([])
    axes.spines.bottom.set_visible(False)
    axes.set_xlabel("Share of training entities")


def _draw_amount(axes: Axes, sentences: Sequence[int]) -> None:
    positions = np.arange(1, len(sentences) + 1)
    axes.barh(positions, sentences, height=0.72, color=MUTED, alpha=0.45)
    for position, number in enumerate([sum(sentences), *sentences]):
        bar = 0 if position == 0 else number
        axes.annotate(
            wording.number(number),
            (bar, position),
            (4, 0),
            textcoords="offset points",
            va="center_baseline",
            fontsize=8,
        )
    axes.set_xlim(0, 1.35 * max(sentences))
    axes.set_xticks([])
    axes.spines.bottom.set_visible(False)
    axes.grid(visible=False)
    axes.set_xlabel("Training sentences")


def _colour(index: int) -> str:
    return TYPE_COLOURS[index % len(TYPE_COLOURS)]
