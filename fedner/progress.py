"""How long work tells what it is doing: a caller passes a `Progress`, the command line draws it."""

from typing import Protocol

from fedner.results import RoundResult


class Progress(Protocol):
    """What a run reports while it runs; called from the thread that runs it."""

    def message(self, text: str) -> None:
        """Tell one thing that happened, in a sentence without private text."""
        ...

    def run_started(self, title: str) -> None:
        """Tell that a run begins."""
        ...

    def advanced(self, done: int, total: int, what: str) -> None:
        """Tell how far the running round is, in steps or sites."""
        ...

    def round_finished(self, entry: RoundResult, rounds: int) -> None:
        """Tell what a round brought, of how many."""
        ...


class Silent:
    """Reports to nobody."""

    def message(self, text: str) -> None:
        """Say nothing."""

    def run_started(self, title: str) -> None:
        """Say nothing."""

    def advanced(self, done: int, total: int, what: str) -> None:
        """Say nothing."""

    def round_finished(self, entry: RoundResult, rounds: int) -> None:
        """Say nothing."""
