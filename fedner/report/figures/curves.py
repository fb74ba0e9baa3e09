"""Learning curves: dev F1 after every round."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from fedner.report.averages import arms_of, dev_curves, mean_curve, public_curves, runs_of
from fedner.report.figures.canvas import ARM_COLOURS, ARM_MARKERS, GROUND, Drawing, add_legend, figure, finish, style
from fedner.report.figures.dots import legend_handles
from fedner.report.study import Study


def draw_curves(study: Study, width: float) -> Drawing | None:
    """Draw each arm's mean over seeds, single seeds as thin lines, and the rounds whose states were kept."""
    # Fine-tuning starts where the federated curve has its best round; its rounds are no rounds of this axis.
    curves = {arm: dev_curves(study, arm) for arm in arms_of(study) if arm != "fine_tuned"}
    curves = {arm: by_seed for arm, by_seed in curves.items() if any(by_seed.values())}
    if not curves:
        return None
    with style():
        drawn = figure(width, 3.7)
        axes = drawn.add_subplot()
        for arm, by_seed in curves.items():
            _draw_arm(axes, arm, by_seed)
        _mark_best(axes, study, curves)
        handles = [*legend_handles(list(curves)), *_draw_public(axes, study), _best_handle()]
        add_legend(drawn, handles)
        _label_axes(axes)
        description = "Dev F1 after every round, one line per arm; the last means are " + ", ".join(
            f"{arm} {last:.3f}" for arm, by_seed in curves.items() if (last := _last(by_seed)) is not None
        )
        caption = (
            "Thick: mean over seeds. Thin: single seeds. Each site alone: mean over the sites, each on its dev text."
        )
        return finish("curves", "Dev F1 by round", description, caption, drawn)


def draw_rounds(curve: Mapping[int, float], best: int | None, width: float) -> Drawing | None:
    """Draw dev F1 by round of one run that may be under way, and the best round so far; None before there is any.

    Args:
        curve: round -> F1.
        best: the round that would be kept.
        width: inches.
    """
    if not curve:
        return None
    with style():
        drawn = figure(width, 3.2)
        axes = drawn.add_subplot()
        _draw_arm(axes, "federated", {0: dict(curve)})
        handles = legend_handles(["federated"])
        if best is not None and best in curve:
            axes.plot([best], [curve[best]], "o", **_RING, markeredgecolor=ARM_COLOURS["federated"])
            handles.append(_best_handle("Best round so far"))
        add_legend(drawn, handles)
        _label_axes(axes)
        description = f"Dev F1 after every round, the last {curve[max(curve)]:.3f}."
        return finish("rounds", "Dev F1 by round", description, "", drawn)


def _label_axes(axes: Axes) -> None:
    axes.set_xlabel("Round")
    axes.set_ylabel("Dev F1")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_arm(axes: Axes, arm: str, by_seed: dict[int, dict[int, float]]) -> None:
    colour = ARM_COLOURS[arm]
    if len(by_seed) > 1:
        for curve in by_seed.values():
            axes.plot(list(curve), list(curve.values()), color=colour, linewidth=0.8, alpha=0.4)
    mean = mean_curve(list(by_seed.values()))
    marker = ARM_MARKERS[arm]
    axes.plot(list(mean), list(mean.values()), color=colour, linewidth=2, marker=marker, markersize=3.5)


def _mark_best(axes: Axes, study: Study, curves: dict[str, dict[int, dict[int, float]]]) -> None:
    """Ring the kept round of each seed; the local curve is a mean over sites that each keep a round of their own."""
    for arm in set(curves) - {"local"}:
        for run, curve in zip(runs_of(study, arm), curves[arm].values(), strict=True):
            if run.best_round in curve:
                axes.plot([run.best_round], [curve[run.best_round]], "o", **_RING, markeredgecolor=ARM_COLOURS[arm])


def _draw_public(axes: Axes, study: Study) -> list[Line2D]:
    curves = public_curves(study)
    if not curves:
        return []
    mean = mean_curve(list(curves.values()))
    return axes.plot(
        list(mean), list(mean.values()), ":", color=ARM_COLOURS["federated"], label="Federated, public dev set"
    )


def _best_handle(label: str = "Round kept") -> Line2D:
    return Line2D([], [], linestyle="none", marker="o", **_RING, markeredgecolor="#5b6771", label=label)


def _last(by_seed: dict[int, dict[int, float]]) -> float | None:
    mean = mean_curve(list(by_seed.values()))
    return mean[max(mean)] if mean else None


_RING = {"markersize": 9.0, "markerfacecolor": GROUND, "fillstyle": "none", "markeredgewidth": 1.4}
