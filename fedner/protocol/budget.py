"""How much work a round may ask of a site at most; server and site compute it alike."""

import math

from fedner.config import TrainingConfig


def most_examples(declared: int, training: TrainingConfig) -> int:
    """Return how many sentences a site of that many can pass through training in a round at most."""
    if training.steps is not None:
        return training.steps * training.gradient_accumulation * training.batch_size
    # Whole epochs begin where an epoch begins; a fraction may lie across the border of two more.
    passes = math.ceil(training.epochs) + (0 if float(training.epochs).is_integer() else 1)
    return passes * declared
