"""Progress in Flower's own log, which is what `flwr run --stream` and `fedner logs` show."""

from collections.abc import Sequence

from fedner.flower.run_log import log_line
from fedner.records.progress import round_line
from fedner.records.results import RoundRecord


class FlowerLog:
    """Reports into Flower's log."""

    def message(self, text: str) -> None:
        """Log one line."""
        log_line(text)

    def run_started(self, title: str) -> None:
        """Log the title."""
        log_line(title)

    def round_started(self, number: int, rounds: int, before: Sequence[RoundRecord]) -> None:
        """Do nothing; the history has it."""

    def advanced(self, done: int, total: int, what: str) -> None:
        """Do nothing; the history has a line for every reply."""

    def round_finished(self, entry: RoundRecord, rounds: int) -> None:
        """Log the results of a round."""
        log_line(round_line(entry, rounds))
