"""Tensors that travel beside the model's: each name is declared once, with its size limit and its policy rule.

An algorithm that needs more than the model's weights to travel adds a name here; messages, audit trail, validation and
site policy then treat it like any other.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fedner.config import TrainingConfig
from fedner.tensors import State

CONTROL = "control"
"""SCAFFOLD's control variate: the server sends c, a site the change of its own."""

ROUNDING = 1.01
"""What half precision may add to a norm."""


@dataclass(frozen=True)
class Auxiliary:
    """What may travel under a name.

    Args:
        title: the tensors' name in messages to people.
        max_norm: training config -> largest Euclidean norm of a reply's tensors, infinite where nothing bounds it.
        bound: origin of that bound, for the message of a refusal.
        under_policy: whether a site's `policy.tensors` decides about them as about the model's own.
    """

    title: str
    max_norm: Callable[[TrainingConfig], float]
    bound: str
    under_policy: bool = True


def _max_control_change(training: TrainingConfig) -> float:
    # Before and after a round it is a mean of gradients that were clipped; nothing is known of gradients that are not.
    return math.inf if training.max_grad_norm is None else 2 * ROUNDING * training.max_grad_norm


AUXILIARIES: Mapping[str, Auxiliary] = {
    CONTROL: Auxiliary("control variate", _max_control_change, "twice training.max_grad_norm"),
}

AuxiliaryStates = Mapping[str, State]
"""Name, as in `AUXILIARIES` -> tensors."""
