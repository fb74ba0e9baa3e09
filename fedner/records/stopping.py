"""Early stopping."""

from collections.abc import Sequence

from fedner.records.results import RoundRecord, best_round


def should_stop(rounds: Sequence[RoundRecord], patience: int | None) -> bool:
    """Say whether the best round is so long ago that training should stop."""
    return patience is not None and bool(rounds) and rounds[-1].round - best_round(rounds) >= patience
