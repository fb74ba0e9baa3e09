"""Drawing with matplotlib: one look, the same bytes for the same numbers, and colours that follow the reader's screen.

Every figure is drawn once. As a file it stands on a white ground; inside the page its colours become CSS variables, so
that light and dark schemes both suit it. matplotlib is imported in this package only.
"""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fedner.report import wording

INK, MUTED, LINE = "#1c2730", "#5b6771", "#d5dade"
GROUND = "#fffffe"
ON_COLOUR = "#10181f"
"""Text on a coloured ground, which is light in both schemes."""

# Okabe & Ito (2008), told apart with every common colour vision; each arm has a marker of its own besides.
ARM_COLOURS = {"centralized": "#0072b2", "federated": "#c94f00", "local": "#00805e", "fine_tuned": "#9c4488"}
ARM_MARKERS = {"centralized": "s", "federated": "o", "local": "D", "fine_tuned": "^"}
# Tol's light scheme (personal.sron.nl/~pault), made for dark text on top.
TYPE_COLOURS = ("#77aadd", "#ee8866", "#eedd88", "#44bb99", "#ffaabb", "#99ddff", "#bbcc33", "#cccccc")

WIDE_INCHES, COMPACT_INCHES = 8.4, 4.4
"""Width of a figure in the page and in its file, and of the same figure on a telephone."""
# One hue from pale to full, for F1 in a matrix; text in INK is readable on each of them in both schemes.
HEAT_COLOURS = ("#f1f6fb", "#dfebf6", "#cbe0f1", "#b4d2eb", "#9bc3e4", "#80b2dc", "#659fd2")
MAX_ROWS = 40
"""Sites or types that a figure shows; its table shows all."""

_VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line", GROUND: "--card"} | {
    colour: f"--{arm}" for arm, colour in ARM_COLOURS.items()
}
_VARIABLES |= {colour: f"--heat-{step}" for step, colour in enumerate(HEAT_COLOURS)}
_SETTINGS: Any = {
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.5,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": GROUND,
    "figure.constrained_layout.use": True,
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "fedner",
    "text.color": INK,
    # Names may hold a dollar sign; they are text, not formulas.
    "text.parse_math": False,
    "xtick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.color": LINE,
    "ytick.labelcolor": INK,
    "ytick.major.size": 0,
}


@dataclass(frozen=True)
class Drawing:
    """A figure as an SVG file; `name` is the stem of the file.

    `caption` says how to read it, `description` what it shows to those who cannot see it.
    """

    name: str
    title: str
    description: str
    caption: str
    svg: str
    wide: bool

    @property
    def inline(self) -> str:
        """The SVG element for the page: no header, ids of its own, colours from the page's variables."""
        prefix = f"{self.name}-{'wide' if self.wide else 'compact'}-"
        body = self.svg[self.svg.index("<g id=") : self.svg.rindex("</svg>")]
        body = re.sub(r'(id="|xlink:href="#|url\(#)', rf"\g<1>{prefix}", body)
        body = re.sub(r"#[0-9a-f]{6}\b", lambda match: _variable(match[0]), body)
        box = re.search(r'viewBox="([0-9. ]+)"', self.svg)
        assert box is not None
        return f'<svg viewBox="{box[1]}" aria-hidden="true" focusable="false">{body}</svg>'


@contextmanager
def style() -> Iterator[None]:
    """Draw in our look; a glyph that the measuring font lacks is no cause for a warning, as viewers bring their own."""
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"(?s)Glyph .* missing from font", category=UserWarning)
        yield


def figure(width_inches: float, height_inches: float) -> Figure:
    """Return an empty figure."""
    return Figure(figsize=(width_inches, height_inches))


def add_legend(drawn: Figure, handles: Sequence[Artist]) -> None:
    """Put a legend above the axes, in as many columns as fit."""
    columns = 5 if drawn.get_figwidth() == WIDE_INCHES else 2
    drawn.legend(handles=handles, loc="outside upper left", ncols=columns, columnspacing=1.5, handlelength=1.6)


def finish(name: str, title: str, description: str, caption: str, drawn: Figure) -> Drawing:
    """Write a figure as SVG."""
    buffer = io.StringIO()
    drawn.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    svg = buffer.getvalue().replace("'DejaVu Sans'", "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans'")
    return Drawing(
        name, title, description, caption, re.sub(r"[ \t]+\n", "\n", svg), drawn.get_figwidth() == WIDE_INCHES
    )


def label(text: str, most: int = 24) -> str:
    """Return a name that fits beside a row: one line, cut where it is too long."""
    return wording.shortened(text, most)


def rows_from_top(axes: Axes, names: list[str]) -> None:
    """Put one row per name on the y axis, the first one at the top."""
    axes.set_yticks(range(len(names)), labels=names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def _variable(colour: str) -> str:
    return f"var({_VARIABLES[colour]})" if colour in _VARIABLES else colour
