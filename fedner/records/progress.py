"""Progress of long work: callers pass a `Progress`, the command line draws it."""

from collections.abc import Sequence
from typing import Protocol

from fedner.records.results import RoundRecord


class Progress(Protocol):
    """Receives the progress of a run, in the thread that runs it."""

    def message(self, text: str) -> None:
        """Report one thing that happened, in a sentence without private text."""
        ...

    def run_started(self, title: str) -> None:
        """Report the start of a run."""
        ...

    def round_started(self, number: int, rounds: int, before: Sequence[RoundRecord]) -> None:
        """Report the start of a round, of `rounds`, with the results of those before it."""
        ...

    def advanced(self, done: int, total: int, what: str) -> None:
        """Report how far the running round is, in steps or sites."""
        ...

    def round_finished(self, entry: RoundRecord, rounds: int) -> None:
        """Report the result of a round, of `rounds`."""
        ...


class Silent:
    """Discards all reports."""

    def message(self, text: str) -> None:
        """Do nothing."""

    def run_started(self, title: str) -> None:
        """Do nothing."""

    def round_started(self, number: int, rounds: int, before: Sequence[RoundRecord]) -> None:
        """Do nothing."""

    def advanced(self, done: int, total: int, what: str) -> None:
        """Do nothing."""

    def round_finished(self, entry: RoundRecord, rounds: int) -> None:
        """Do nothing."""


def round_line(entry: RoundRecord, rounds: int) -> str:
    """Return a round in a line: score, loss, how many sites counted, and which did not."""
    missing = [site for site, refusal in entry.refused.items() if refusal.is_silence]
    refused = [site for site in entry.refused if site not in missing]
    parts = [
        f"round {entry.round}/{rounds}",
        f"dev F1 {entry.dev.micro.f1:.4f}" if entry.dev else "no dev F1",
        f"loss {entry.train_loss:.4f}" if entry.train_loss is not None else "",
        f"{len(entry.sites)} {'site' if len(entry.sites) == 1 else 'sites'}" if entry.sites else "",
        f"missing {', '.join(missing)}" if missing else "",
        f"refused {', '.join(refused)}" if refused else "",
        f"{entry.seconds:.1f} s",
    ]
    return "  ".join(part for part in parts if part)


def seconds_left(before: Sequence[float], number: int, rounds: int, elapsed: float) -> float | None:
    """Return how long the rest of a run should take at the mean of the rounds so far; None before the first.

    Args:
        before: wall time of each whole round, seconds.
        number: the running round, of `rounds`.
        elapsed: seconds since it began.
    """
    if not before:
        return None
    mean = sum(before) / len(before)
    return max(0.0, mean - elapsed) + mean * (rounds - number)
