"""Is an audit trail what was written? Every byte is held against the chain, the chain against heads kept elsewhere."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedner.audit.entries import TornLine, TrailOpened
from fedner.audit.trail import GENESIS, ChainedLine, Head, parse_line, split_lines
from fedner.errors import AuditError

_SHOWN = 20
"""Problems listed; one altered line can bring as many as there are lines."""


@dataclass(frozen=True)
class Findings:
    """The result of verifying a trail.

    `torn` are the lines of the file that were cut short and were written down as such by the line after; `problems` say
    what does not fit, with lines of the file from 1; `further` is how many more problems there are than are listed.
    """

    keeper: str
    lines: int
    head: Head | None
    torn: tuple[int, ...]
    problems: tuple[str, ...]
    further: int = 0

    @property
    def sound(self) -> bool:
        """Whether nothing contradicts that the trail is whole."""
        return not self.problems


@dataclass
class _Reading:
    """Where a reading of a trail stands."""

    number: int = 0
    previous: str = GENESIS
    keeper: str = ""
    broken: list[bytes] = field(default_factory=list[bytes])
    broken_at: list[int] = field(default_factory=list[int])
    torn: list[int] = field(default_factory=list[int])
    problems: list[str] = field(default_factory=list[str])
    hashes: dict[int, str] = field(default_factory=dict[int, str])


def verify(path: Path, heads: Sequence[Head] = ()) -> Findings:
    """Check a trail.

    Args:
        path: the trail.
        heads: heads of it that were kept elsewhere; without any, lines cut off its end go unseen, and so does a trail
            that was written anew from some line on.

    Raises:
        AuditError: it cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AuditError(f"{path}: cannot read the audit trail ({error.strerror})") from error
    state = _Reading()
    for place, raw in enumerate(split_lines(content), start=1):
        line = parse_line(raw)
        if line is None:
            state.broken.append(raw)
            state.broken_at.append(place)
        else:
            _follow(state, place, line)
    _close_gap(state, None)
    if not state.hashes:
        state.problems.append("expected at least the line that opens a trail, got none")
    state.problems += [problem for head in heads if (problem := _against(head, state))]
    last = None if not state.hashes else Head(state.number - 1, state.previous)
    shown, further = tuple(state.problems[:_SHOWN]), max(0, len(state.problems) - _SHOWN)
    return Findings(state.keeper, len(state.hashes), last, tuple(state.torn), shown, further)


def read_heads(path: Path) -> list[Head]:
    """Read an anchor file, or any file with a head a line.

    Raises:
        AuditError: it cannot be read, or a line other than the last is no head.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise AuditError(f"{path}: cannot read the heads of an audit trail ({error})") from error
    # A last line without an end is of a write that was cut short.
    return [parse_head(line, f"{path}:{place}") for place, line in enumerate(lines[:-1], start=1) if line]


def parse_head(text: str, where: str = "head") -> Head:
    """Read a head as `fedner audit head` prints it: a number and 64 hexadecimal digits.

    Raises:
        AuditError: it is none.
    """
    number, _, digest = text.strip().partition(" ")
    if not number.isdecimal() or len(digest) != len(GENESIS) or not set(digest) <= set("0123456789abcdef"):
        raise AuditError(f"{where}: expected a line's number and its hash (64 hexadecimal digits), got {text[:80]!r}")
    return Head(int(number), digest)


def _follow(state: _Reading, place: int, line: ChainedLine) -> None:
    """Hold a line against the one before it; go on from it whether it fits or not."""
    if line.content["event"] != TrailOpened.event or line.number:
        _close_gap(state, line)
    if line.number != state.number:
        state.problems.append(f"line {place}: expected number {state.number}, got {line.number}")
    elif line.previous != state.previous:
        state.problems.append(f"line {place}: does not follow the line before it, of which it carries another hash")
    if line.number == 0:
        state.keeper = str(line.content.get("keeper", ""))
    state.number, state.previous = line.number + 1, line.hash
    state.hashes[line.number] = line.hash


def _close_gap(state: _Reading, line: ChainedLine | None) -> None:
    """Record bytes before a line that are not a line themselves."""
    broken, at = b"".join(state.broken), state.broken_at
    state.broken, state.broken_at = [], []
    seals = line is not None and line.content["event"] == TornLine.event
    if not broken:
        if seals and line is not None:
            state.problems.append(f"line number {line.number} records bytes cut short before it, but there are none")
        return
    written = broken.removesuffix(b"\n")
    if seals and line is not None:
        recorded = line.content["num_bytes"], line.content["digest"]
        if recorded == (len(written), hashlib.sha256(written).hexdigest()):
            state.torn += at
            return
    places = f"line {at[0]}" if len(at) == 1 else f"lines {at[0]} to {at[-1]}"
    cut = line is None and not broken.endswith(b"\n")
    state.problems.append(
        f"{places}: cut short; the next line written would say so, or what stands there was altered"
        if cut
        else f"{places}: altered, or never written by fedner"
    )


def _against(head: Head, state: _Reading) -> str | None:
    found = state.hashes.get(head.number)
    if found is None:
        return f"line number {head.number} was there once and is not: the trail ends at {state.number - 1}"
    return None if found == head.hash else f"line number {head.number} is not the one that was there once"
