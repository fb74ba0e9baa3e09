"""Early stopping."""

from collections.abc import Sequence

from fedner.records.results import RoundRecord, best_round


def should_stop(rounds: Sequence[RoundRecord], patience: int | None) -> bool:
    """Return whether the best round is `patience` or more rounds ago; None never stops."""
    return patience is not None and bool(rounds) and rounds[-1].round - best_round(rounds) >= patience
