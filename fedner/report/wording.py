"""Numbers as people read them, the same in every output."""

from collections.abc import Sequence
from typing import Protocol

ABSENT = "–"
FINE_TUNED = "federated, then fine-tuned at the site"
ONE_SEED = "one seed: no interval"

ARM_NAMES = {
    "centralized": "Pooled in one place",
    "federated": "Federated",
    "local": "Each site alone",
    "fine_tuned": "Fine-tuned",
}
"""Arm -> what the reports call it; the arm's own name stands beside it in the headline table."""


class Bounds(Protocol):
    """An interval, or something that has one; both bounds are None where nothing supports one."""

    @property
    def low(self) -> float | None:
        """The lower bound."""
        ...

    @property
    def high(self) -> float | None:
        """The upper bound."""
        ...


def number(value: int) -> str:
    """Return a count with thousands separated."""
    return f"{value:,}"


def counted(value: int, noun: str) -> str:
    """Return a count with its noun, in the plural where it is not one."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def score(value: float | None) -> str:
    """Return an F1, precision or recall in [0, 1]."""
    return ABSENT if value is None else f"{value:.3f}"


def short_score(value: float) -> str:
    """Return a score where room is scarce: two digits, nothing before the point but where it is 1."""
    return f"{value:.2f}".removeprefix("0")


def signed(value: float) -> str:
    """Return a difference of two scores, with a true minus sign."""
    rounded = round(value, 3)
    return f"{abs(rounded):.3f}" if rounded == 0 else f"{'+' if rounded > 0 else '−'}{abs(rounded):.3f}"


def percent(share: float) -> str:
    """Return a share as a whole percentage, with a true minus sign."""
    rounded = round(100 * share)
    return f"{'−' if rounded < 0 else ''}{abs(rounded)}%"


def interval(bounds: Bounds) -> str:
    """Return `low to high` of scores, or the sign for nothing."""
    if bounds.low is None or bounds.high is None:
        return ABSENT
    return f"{score(bounds.low)} to {score(bounds.high)}"


def signed_interval(bounds: Bounds) -> str:
    """Return `low to high` of differences, or the sign for nothing."""
    if bounds.low is None or bounds.high is None:
        return ABSENT
    return f"{signed(bounds.low)} to {signed(bounds.high)}"


def percent_interval(bounds: Bounds) -> str:
    """Return `low to high` of shares, or the sign for nothing."""
    if bounds.low is None or bounds.high is None:
        return ABSENT
    return f"{percent(bounds.low)} to {percent(bounds.high)}"


def p_value(value: float | None) -> str:
    """Return a p value; very small ones only as a bound."""
    if value is None:
        return ABSENT
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def duration(seconds: float) -> str:
    """Return seconds as a person says them."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(num_bytes: float) -> str:
    """Return bytes in decimal units, as networks are sold."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= scale:
            return f"{num_bytes / scale:.1f} {unit}"
    return f"{round(num_bytes)} B"


def shortened(text: str, most: int) -> str:
    """Return a name on one line, cut where it is too long."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def listed(names: Sequence[str], most: int = 6) -> str:
    """Return names as a list in a sentence; beyond `most` only how many more there are."""
    shown = list(names[:most])
    if len(names) > most:
        shown.append(f"{len(names) - most} more")
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"
