"""Updates of sites, and the aggregation's state between rounds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from fedner.errors import FederationError, StateError
from fedner.protocol.auxiliary import AuxiliaryStates
from fedner.tensors import State, check_like

MAX_WEIGHT = 2.0**53
"""Largest weight of one update; counts up to here are exact in float64."""
_ROUND = "round"
_NONE: AuxiliaryStates = MappingProxyType({})


def check_update(update: "Update", wanted: State) -> None:
    """Check tensors and weight of one update.

    Raises:
        StateError: its tensors do not have the names, shapes and dtypes of `wanted`.
        FederationError: its weight is not a number from 0 to 2**53.
    """
    check_like(update.arrays, wanted, f"update of site '{update.site}'")
    if not (math.isfinite(update.weight) and 0 <= update.weight <= MAX_WEIGHT):
        raise FederationError(
            f"update of site '{update.site}': expected a weight from 0 to 2**53, got {update.weight}; "
            "a weight is the number of examples or words the site trained on"
        )


@dataclass(frozen=True, eq=False)
class Update:
    """One site's update of a round.

    Args:
        site: name of the site, unique in a round.
        arrays: its tensors after local training, with names, shapes and dtypes of the state it was sent.
        weight: number of examples or words it trained on, or 1 for uniform weights.
        steps: optimizer steps it took.
        auxiliary: tensors that travel beside the model's; with SCAFFOLD, the change of its control variate.
    """

    site: str
    arrays: State
    weight: float
    steps: int = 1
    auxiliary: AuxiliaryStates = field(default_factory=lambda: _NONE)


@dataclass(frozen=True, eq=False)
class AggregationState:
    """The server's state between rounds; explicit, so that a checkpoint is `to_arrays` and resume `from_arrays`.

    Args:
        round: number of rounds aggregated so far.
        moments: moment name (such as `momentum`, `first`, `second`) -> tensors like those aggregated.
    """

    round: int
    moments: dict[str, State]

    def to_arrays(self) -> State:
        """Return everything as flat named float32 arrays: `round` of shape (1,) and `<moment>/<tensor>`."""
        arrays: State = {_ROUND: np.array([self.round], dtype=np.float32)}
        for moment, tensors in self.moments.items():
            arrays.update({f"{moment}/{name}": array for name, array in tensors.items()})
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "AggregationState":
        """Read the arrays of `to_arrays`, in any order of moments (the order of tensors is that of `arrays`).

        Raises:
            StateError: `round` is missing, or a name is not `<moment>/<tensor>`.
        """
        if _ROUND not in arrays or arrays[_ROUND].shape != (1,):
            raise StateError(f"aggregation state: expected an array '{_ROUND}' of shape [1], got {list(arrays)[:3]}")
        moments: dict[str, State] = {}
        for key, array in arrays.items():
            moment, separator, name = key.partition("/")
            if separator:
                moments.setdefault(moment, {})[name] = np.ascontiguousarray(array, dtype=np.float32)
            elif key != _ROUND:
                raise StateError(f"aggregation state: expected names like 'first/tensor', got '{key}'")
        return cls(round=int(arrays[_ROUND][0]), moments=moments)
