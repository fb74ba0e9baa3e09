"""Drawing with matplotlib: one look, the same bytes for the same numbers, and colours that follow the reader's screen.

Every figure is drawn once. As a file it stands on a white ground; inside the page its colours become CSS variables, so
that light and dark schemes both suit it. matplotlib is imported in this package only.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, LINE = "#1c2730", "#5b6771", "#d5dade"
GROUND = "#fffffe"
ON_COLOUR = "#10181f"
"""Text on a coloured ground, which is light in both schemes."""

# Okabe & Ito (2008), told apart with every common colour vision; each arm has a marker of its own besides.
ARM_COLOURS = {"centralized": "#0072b2", "federated": "#c94f00", "local": "#00805e"}
ARM_MARKERS = {"centralized": "s", "federated": "o", "local": "D"}
# Tol's light scheme (personal.sron.nl/~pault), made for dark text on top.
TYPE_COLOURS = ("#77aadd", "#ee8866", "#eedd88", "#44bb99", "#ffaabb", "#99ddff", "#bbcc33", "#cccccc")

WIDTH_INCHES = 8.4
MAX_ROWS = 40
"""Sites or types that a figure shows; its table shows all."""

_VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line", GROUND: "--card"} | {
    colour: f"--{arm}" for arm, colour in ARM_COLOURS.items()
}
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
    """A figure as an SVG file, with the words for those who cannot see it; `name` is the stem of the file."""

    name: str
    title: str
    description: str
    svg: str

    @property
    def inline(self) -> str:
        """The SVG element for the page: no header, ids of its own, colours from the page's variables."""
        body = self.svg[self.svg.index("<g id=") : self.svg.rindex("</svg>")]
        body = re.sub(r'(id="|xlink:href="#|url\(#)', rf"\g<1>{self.name}-", body)
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


def figure(height_inches: float) -> Figure:
    """Return an empty figure of the page's width."""
    return Figure(figsize=(WIDTH_INCHES, height_inches))


def finish(name: str, title: str, description: str, drawn: Figure) -> Drawing:
    """Write a figure as SVG."""
    buffer = io.StringIO()
    drawn.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    svg = buffer.getvalue().replace("'DejaVu Sans'", "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans'")
    return Drawing(name, title, description, re.sub(r"[ \t]+\n", "\n", svg))


def label(text: str, most: int = 24) -> str:
    """Return a name that fits beside a row: one line, cut where it is too long."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def rows_from_top(axes: Axes, names: list[str]) -> None:
    """Put one row per name on the y axis, the first one at the top."""
    axes.set_yticks(range(len(names)), labels=names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def _variable(colour: str) -> str:
    return f"var({_VARIABLES[colour]})" if colour in _VARIABLES else colour
