"""The page: one file that needs no network and no script, in the report's look; it asks for itself again."""

import threading
from collections.abc import Mapping
from functools import lru_cache

from markupsafe import Markup

from fedner.deployment.monitoring import phrases
from fedner.deployment.monitoring.status import RunProgress, Status, read_status, status_to_json
from fedner.report import wording
from fedner.report.figures import COMPACT_INCHES, WIDE_INCHES, Drawing, draw_rounds
from fedner.report.html import page_templates, style_sheet
from fedner.report.study import showable

RELOAD_SECONDS = 10
_DRAWING = threading.Lock()
_TEMPLATES = page_templates("fedner.deployment.monitoring")


def render_page(status: Status) -> str:
    """Return the page of what a viewer may see; reasons and names in it may come from anybody."""
    shown = read_status(showable(status_to_json(status)))
    run = shown.runs[0] if shown.runs else None
    return _TEMPLATES.get_template("status.html").render(
        status=shown,
        run=run,
        viewer=f"as site {shown.viewer} sees it" if shown.viewer else "as the coordinator sees it",
        moment=shown.moment.replace("T", " ").replace("+00:00", " UTC"),
        reload_seconds=RELOAD_SECONDS,
        headline=phrases.headline(run.progress) if run else "",
        tiles=_tiles(run.progress) if run else [],
        drawings=_drawings(run.progress) if run else None,
        svg=lambda drawing: Markup(drawing.inline),
        tables=phrases,
        style=style_sheet(_TEMPLATES),
    )


def _tiles(progress: RunProgress) -> list[tuple[str, str, str]]:
    """Return the headline numbers: name, value, and what stands below it."""
    last = progress.rounds[-1] if progress.rounds else None
    planned = f"of {progress.planned}" if progress.planned else ""
    best = "" if progress.best_f1 is None else f"round {progress.best_round}"
    tiles = [
        ("Rounds done", str(len(progress.rounds)), planned),
        ("Dev F1", wording.score(last.dev_f1 if last else None), f"round {last.round}" if last else ""),
        ("Best dev F1", wording.score(progress.best_f1), best),
    ]
    if progress.test_f1 is not None:
        return [*tiles, ("Test F1", wording.score(progress.test_f1), "pooled test set")]
    left = wording.ABSENT if progress.seconds_left is None else wording.duration(progress.seconds_left)
    return [*tiles, ("Time left", left, "at the mean of the rounds so far")]


def _drawings(progress: RunProgress) -> tuple[Drawing, Drawing] | None:
    """Return the learning curve, and the same for a telephone; None before there is one."""
    curve = {entry.round: entry.dev_f1 for entry in progress.rounds if entry.dev_f1 is not None}
    with _DRAWING:  # matplotlib's settings are one for all threads
        return _drawn(tuple(curve.items()), progress.best_round)


@lru_cache(maxsize=32)
def _drawn(curve: tuple[tuple[int, float], ...], best: int | None) -> tuple[Drawing, Drawing] | None:
    points: Mapping[int, float] = dict(curve)
    wide, compact = draw_rounds(points, best, WIDE_INCHES), draw_rounds(points, best, COMPACT_INCHES)
    return None if wide is None or compact is None else (wide, compact)
