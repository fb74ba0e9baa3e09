"""What a person sees while work goes on: on stderr, so that stdout stays for results.

On a terminal the last line is alive: round, bar, sites or steps done, dev F1, time left. Elsewhere there are only the
plain lines that a terminal shows above it, so that a log file stays readable.
"""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from fedner.records.progress import Progress, round_line, seconds_left
from fedner.records.results import RoundRecord

BAR_WIDTH = 16
REFRESH_PER_SECOND = 4


def stderr() -> Console:
    """Return the console for progress and notices."""
    return Console(stderr=True, highlight=False)


def stdout() -> Console:
    """Return the console for results."""
    return Console(highlight=False)


@contextmanager
def watching() -> Iterator[Progress]:
    """Tell progress on stderr while the block runs; a terminal is left clean however it ends."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield Lines(console)
        return
    with Screen(console) as screen:
        yield screen


@dataclass
class Standing:
    """Where a run stands: the rounds before the running one, and when that began on a monotonic clock."""

    number: int
    rounds: int
    before: Sequence[RoundRecord]
    began: float = field(default_factory=time.monotonic)

    def seconds_left(self) -> float | None:
        """Return how long the rest of the run should take at the mean of the rounds so far; None before the first."""
        before = [entry.seconds for entry in self.before]
        return seconds_left(before, self.number, self.rounds, time.monotonic() - self.began)

    def scores(self) -> str:
        """Return dev F1 of the last round and of the best."""
        scored = [entry for entry in self.before if entry.dev is not None]
        f1 = {entry.round: entry.dev.micro.f1 for entry in scored if entry.dev is not None}
        if not f1:
            return ""
        best = max(f1, key=lambda number: f1[number])
        return f"dev F1 {f1[max(f1)]:.4f}, best {f1[best]:.4f} in round {best}"


class Lines:
    """Tells progress one line a round."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._standing: Standing | None = None

    def message(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, markup=False)

    def run_started(self, title: str) -> None:
        """Print the title."""
        self._console.print(Text(title, style="bold"))

    def round_started(self, number: int, rounds: int, before: Sequence[RoundRecord]) -> None:
        """Remember what came before, for the time that is left."""
        self._standing = Standing(number, rounds, tuple(before))

    def advanced(self, done: int, total: int, what: str) -> None:
        """Say nothing; a log file needs no bar."""

    def round_finished(self, entry: RoundRecord, rounds: int) -> None:
        """Print what the round brought, and how long the rest should take."""
        before = self._standing.before if self._standing else ()
        left = Standing(entry.round + 1, rounds, (*before, entry)).seconds_left() or 0.0
        rest = f", {_duration(left)} left" if entry.round < rounds else ""
        self._console.print(f"  {round_line(entry, rounds)}{rest}", markup=False)


class Screen(Lines):
    """The same lines, and below them a living one; a context manager that takes it away at the end."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._done = (0, 0, "")
        # Only stderr is ours to guard: results that a program prints to stdout may go elsewhere.
        self._live = Live(
            self, console=console, transient=True, redirect_stdout=False, refresh_per_second=REFRESH_PER_SECOND
        )

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the living line away and show the cursor again."""
        self._live.stop()

    def __rich__(self) -> Text:
        """Return the living line as it is now; nothing while nothing is under way."""
        standing, (done, total, what) = self._standing, self._done
        if standing is None and done == total:
            return Text("")
        filled = BAR_WIDTH * done // max(total, 1)
        line = Text(no_wrap=True, overflow="ellipsis")
        if standing is not None:
            line.append(f"round {standing.number}/{standing.rounds}  ")
        line.append("━" * filled, style="green").append("━" * (BAR_WIDTH - filled), style="dim")
        line.append(f"  {done}/{total} {what}" if total else "  waiting")
        if standing is not None:
            left = standing.seconds_left()
            cells = [f"{_duration(left)} left" if left is not None else "", standing.scores()]
            line.append("".join(f"  {cell}" for cell in cells if cell))
        # The terminal writes ^C behind the line; where that wrapped, the line could not be wiped.
        line.truncate(max(8, self._console.width - 4), overflow="ellipsis")
        return line

    def round_started(self, number: int, rounds: int, before: Sequence[RoundRecord]) -> None:
        """Begin a new bar."""
        super().round_started(number, rounds, before)
        self._done = (0, 0, "")

    def advanced(self, done: int, total: int, what: str) -> None:
        """Move the bar."""
        self._done = (done, total, what)

    def round_finished(self, entry: RoundRecord, rounds: int) -> None:
        """Print the round's line above the living one, which waits for the next round."""
        super().round_finished(entry, rounds)
        self._standing, self._done = None, (0, 0, "")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} h" if hours else f"{minutes}:{rest:02d} min" if minutes else f"{rest} s"


def print_notices(notices: Iterable[str]) -> None:
    """Print the terms of text and models on stderr, once a command."""
    for notice in notices:
        print(f"note: {notice}", file=sys.stderr)


def print_json(content: object) -> None:
    """Print one line of JSON on stdout."""
    print(json.dumps(content, ensure_ascii=False))
