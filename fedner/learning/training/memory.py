"""The memory of a site between rounds, and how it returns into a model and its optimizer.

Of the word embedding only the rows that the site's text uses are kept (`vocabulary`): in the others moments and
control are zero. With a small encoder and a small shard that halves what is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fedner.errors import RunError
from fedner.learning.training.vocabulary import UsedRows

MOMENTS = ("exp_avg", "exp_avg_sq")
CONTROL = "control"
_NUMBERS = ("position", "rounds", "optimizer_steps")
_ROWS = "embedding_rows"

Arrays = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class TrainingMemory:
    """The state of a site's training between rounds."""

    position: int = 0
    """Batches taken from the sampler's stream so far."""
    rounds: int = 0
    """Calls of `fit` so far: the rounds this site has trained in."""
    optimizer_steps: int = 0
    """AdamW's step count behind the moments; 0 where they were reset."""
    moments: Arrays = field(default_factory=dict)
    """`exp_avg/<parameter>` and `exp_avg_sq/<parameter>`; empty where they were reset."""
    control: Arrays = field(default_factory=dict)
    """`control/<parameter>`: SCAFFOLD's or FedDyn's own term (`proximal_terms`); empty without either."""
    embedding_rows: NDArray[np.int64] | None = None
    """Rows of the word embedding that moments and control hold, rising; None where they hold all or none."""

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the memory as named arrays, for a file."""
        numbers = {name: np.array(getattr(self, name), dtype=np.int64) for name in _NUMBERS}
        rows = {} if self.embedding_rows is None else {_ROWS: self.embedding_rows}
        return {**numbers, **rows, **self.moments, **self.control}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "TrainingMemory":
        """Read the arrays of `to_arrays`."""
        tensors = {name: np.asarray(array, np.float32) for name, array in arrays.items() if "/" in name}
        rows = arrays.get(_ROWS)
        return cls(
            moments={name: array for name, array in tensors.items() if not name.startswith(f"{CONTROL}/")},
            control={name: array for name, array in tensors.items() if name.startswith(f"{CONTROL}/")},
            embedding_rows=None if rows is None else np.asarray(rows, np.int64),
            **{name: int(arrays[name]) for name in _NUMBERS},
        )


@dataclass(frozen=True)
class Remembered:
    """A site's memory as seen from the model it goes back into.

    Args:
        memory: the site's memory.
        embedding: name of the word embedding's weight in the model; None where it has no plain one.
        used: the rows of the word embedding that take part now, all remembered ones among them; None where all do.
    """

    memory: TrainingMemory
    embedding: str | None
    used: UsedRows | None

    def tensor(self, arrays: Arrays, key: str, name: str, parameter: nn.Parameter) -> Tensor:
        """Return a fresh tensor with the remembered values of one parameter, in its present shape and on its device.

        Args:
            arrays: the memory's moments or control.
            key: one of `MOMENTS`, or `CONTROL`.
            name: the parameter's name in the model.
            parameter: as it is trained; of the word embedding perhaps only the rows that take part.

        Raises:
            RunError: it is missing or has another shape.
        """
        array = arrays.get(f"{key}/{name}")
        if array is None:
            raise RunError(f"training memory: {key} of '{name}' is missing; it belongs to another model")
        if name == self.embedding:
            array = self._of_present_rows(array, len(parameter))
        if array.shape != tuple(parameter.shape):
            raise RunError(
                f"training memory: {key} of '{name}' expected shape {list(parameter.shape)}, "
                f"got {list(array.shape)}; it belongs to another model"
            )
        return torch.from_numpy(np.array(array)).to(parameter.device)

    def _of_present_rows(self, array: NDArray[np.float32], number: int) -> NDArray[np.float32]:
        rows = self.memory.embedding_rows
        if rows is None:
            return array if self.used is None else array[self.used.rows]
        if len(rows) != len(array) or rows[-1] >= (number if self.used is None else len(self.used.compact_ids)):
            return array  # of another model; the check of its shape will refuse it
        spread = np.zeros((number, *array.shape[1:]), np.float32)
        spread[rows if self.used is None else np.searchsorted(self.used.rows, rows)] = array
        return spread
