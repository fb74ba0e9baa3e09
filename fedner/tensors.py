"""A `State` is what travels and what is aggregated: a named, ordered set of float32 tensors, as NumPy arrays."""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fedner.errors import StateError

State = dict[str, NDArray[np.float32]]


def check_like(state: Mapping[str, NDArray[np.generic]], wanted: Mapping[str, NDArray[np.generic]], where: str) -> None:
    """Check that two states have the same names in the same order, the same shapes and dtypes.

    Raises:
        StateError: naming the first tensor that differs and `where` the state came from.
    """
    if list(state) != list(wanted):
        missing = [name for name in wanted if name not in state][:3]
        extra = [name for name in state if name not in wanted][:3]
        raise StateError(f"{where}: tensor names differ from the agreed ones; missing {missing}, not agreed {extra}")
    for name, array in state.items():
        expected = wanted[name]
        if array.shape != expected.shape or array.dtype != expected.dtype:
            raise StateError(
                f"{where}: tensor '{name}' expected {expected.dtype}{list(expected.shape)}, "
                f"got {array.dtype}{list(array.shape)}"
            )


def num_bytes(state: Mapping[str, NDArray[np.generic]]) -> int:
    """Return the size of all tensors in bytes."""
    return sum(array.nbytes for array in state.values())


def digest(state: Mapping[str, NDArray[np.generic]]) -> str:
    """Return the SHA-256 (hex) of names, shapes, dtypes and bytes; equal digests mean bit-identical states."""
    total = hashlib.sha256()
    for name, array in state.items():
        total.update(f"{name}{array.dtype}{array.shape}".encode())
        total.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return total.hexdigest()
