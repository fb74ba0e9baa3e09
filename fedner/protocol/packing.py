"""A state travels between machines as one parcel, since Flower's server takes its time for each piece, however small.

Flower stores and checks every array of a message by itself, and a bias of 3 kB costs the SuperLink nearly what 5 MiB
do, at each of ten stops that a state makes in a round with two sites. A BERT-base has 200 arrays, most of them small.
Wrapping changes nothing that is said: it is unwrapped before anybody looks at the message, so that policies, audit
trails and aggregation see tensor by tensor what they see in a simulation, where nothing is wrapped.

A parcel is an `arrays` record with a single array, the bytes of all of them one after the other, each still in NumPy's
format with its type and shape, and beside it a record `arrays.outline` with their names and sizes.
"""

from collections.abc import Iterator
from typing import TypeGuard, TypeVar, cast

from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from fedner.errors import FederationError
from fedner.protocol.arrays import array_of

PARCEL = "parcel"
_STYPE = "fedner.parcel"
_OUTLINE = ".outline"
_Cell = TypeVar("_Cell", str, int)


def wrap(content: RecordDict) -> RecordDict:
    """Return the same content with each record of several arrays as a parcel; the other records are shared."""
    wrapped = RecordDict()
    for key, record in content.items():
        if isinstance(record, ArrayRecord) and len(record) > 1:
            wrapped[key], wrapped[key + _OUTLINE] = _parcel(record), _outline(record)
        else:
            wrapped[key] = record
    return wrapped


def is_wrapped(content: RecordDict) -> bool:
    """Tell whether there is a parcel in it."""
    return any(key.endswith(_OUTLINE) for key in content)


def unwrap(content: RecordDict) -> RecordDict:
    """Return the unpacked content, as views of the packed bytes; content that was not packed is returned as it is.

    Raises:
        FederationError: an outline and its parcel do not fit.
    """
    unwrapped = RecordDict()
    for key, record in content.items():
        outline = content.get(key + _OUTLINE)
        if isinstance(outline, ConfigRecord):
            unwrapped[key] = arrays = ArrayRecord()
            for name, array in _arrays(key, record, outline):
                arrays[name] = array
        elif not key.endswith(_OUTLINE):
            unwrapped[key] = record
    return unwrapped


def _parcel(record: ArrayRecord) -> ArrayRecord:
    data = b"".join(array.data for array in record.values())
    return ArrayRecord({PARCEL: Array(dtype="uint8", shape=(len(data),), stype=_STYPE, data=data)})


def _outline(record: ArrayRecord) -> ConfigRecord:
    return ConfigRecord({"names": list(record), "sizes": [len(array.data) for array in record.values()]})


def _arrays(key: str, record: object, outline: ConfigRecord) -> Iterator[tuple[str, Array]]:
    """Cut a parcel up; whether an array's bytes fit its type and shape is seen where it is read (`array_format`)."""
    parcel = record.get(PARCEL) if isinstance(record, ArrayRecord) else None
    if not isinstance(parcel, Array) or parcel.stype != _STYPE:
        raise FederationError(f"message: record '{key}' has an outline and is no parcel")
    names, sizes = outline.get("names"), outline.get("sizes")
    if not _all(names, str) or not _all(sizes, int) or len(set(names)) != len(names) or len(sizes) != len(names):
        raise FederationError(f"message: expected names and sizes of the arrays in '{key}', each once, got neither")
    if min(sizes, default=0) < 0 or sum(sizes) != len(parcel.data):
        raise FederationError(f"message: the arrays in '{key}' do not fill their parcel of {len(parcel.data)} bytes")
    data, start = memoryview(parcel.data), 0
    for name, size in zip(names, sizes, strict=True):
        yield name, array_of(name, data[start : start + size])
        start += size


def _all(values: object, kind: type[_Cell]) -> TypeGuard[list[_Cell]]:
    return isinstance(values, list) and all(type(value) is kind for value in cast(list[object], values))
