"""Arrays <-> Flower's Array, in Flower's own format, NumPy's .npy, so that any Flower app can read them.

Writing copies the bytes once. Reading copies nothing: arrays share the message's bytes and are therefore read-only.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from typing import cast

import numpy as np
from flwr.app import Array, ArrayRecord, RecordDict
from numpy.lib import format as npy
from numpy.typing import NDArray

from fedner.errors import FederationError
from fedner.tensors import State

_NPY = "numpy.ndarray"
_TYPES = ("float32", "int64")
_LONGEST_HEADER = 1024


def to_record(arrays: Mapping[str, NDArray[np.generic]]) -> ArrayRecord:
    """Return the arrays in Flower's format, with one copy of their bytes."""
    return ArrayRecord({name: _to_array(array) for name, array in arrays.items()})


def from_record(record: ArrayRecord) -> State:
    """Return the arrays of a record as read-only views of its bytes, in the record's order.

    Raises:
        FederationError: an array is not in NumPy's format or its bytes do not fit its header.
    """
    return {name: _from_array(name, array) for name, array in record.items()}


def array_of(name: str, data: memoryview) -> Array:
    """Return bytes in NumPy's format as Flower's array, of the type and shape that they say they have; copies nothing.

    Raises:
        FederationError: they are not in that format.
    """
    buffer = BytesIO(data[:_LONGEST_HEADER])
    try:
        if npy.read_magic(buffer) != (1, 0):
            raise ValueError("another version")
        shape, _, dtype = npy.read_array_header_1_0(buffer)
    except (ValueError, TypeError, SyntaxError) as error:
        raise FederationError(f"message: '{name}' is not in NumPy's format") from error
    array = Array(dtype=str(dtype), shape=tuple(shape), stype=_NPY, data=b"")
    # Flower wants `bytes` here, for sending; this array has arrived, and a copy would cost the size of a state.
    array.data = cast(bytes, data)
    return array


def store_in_context(memory: RecordDict, key: str, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Put a site's own arrays where Flower keeps them for the site until the next message; they never travel."""
    memory[key] = to_record(arrays)


def load_from_context(memory: RecordDict, key: str) -> dict[str, NDArray[np.generic]] | None:
    """Return what `store_in_context` put there, or None if it has not been called yet."""
    record = memory.get(key)
    return (
        {name: load_array(name, array) for name, array in record.items()} if isinstance(record, ArrayRecord) else None
    )


def _to_array(array: NDArray[np.generic]) -> Array:
    data = b"".join((_npy_header(array.dtype.str, array.shape), np.ascontiguousarray(array).data))
    return Array(dtype=str(array.dtype), shape=tuple(array.shape), stype=_NPY, data=data)


def _from_array(name: str, array: Array) -> NDArray[np.float32]:
    loaded = load_array(name, array)
    if loaded.dtype != np.float32:
        raise FederationError(f"message: expected tensor '{name}' as float32, got {loaded.dtype}")
    return loaded.astype(np.float32, copy=False)


def load_array(name: str, array: Array) -> NDArray[np.generic]:
    """Return one array as a read-only view of its bytes.

    Raises:
        FederationError: it is not in NumPy's format, or its bytes do not fit its header.
    """
    if array.stype != _NPY or array.dtype not in _TYPES:
        raise FederationError(f"message: expected '{name}' in NumPy's format, got {array.stype} of {array.dtype}")
    header = _npy_header(np.dtype(array.dtype).str, tuple(array.shape))
    size = math.prod(array.shape) * np.dtype(array.dtype).itemsize
    if array.data[: len(header)] != header or len(array.data) != len(header) + size:
        raise FederationError(f"message: the bytes of '{name}' are not {array.dtype}{list(array.shape)}")
    return np.frombuffer(array.data, dtype=array.dtype, offset=len(header)).reshape(array.shape)


@lru_cache(maxsize=1024)
def _npy_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    buffer = BytesIO()
    npy.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue()
