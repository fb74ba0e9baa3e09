"""What a message holds: tensor by tensor and value by value, with sizes, and one digest of it all.

Both ends of a message come to the same digest, so that a site's audit trail and the server's can be held against each
other; a site's administrator sees the same list before anything is sent.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict


@dataclass(frozen=True)
class TensorOutline:
    """One tensor of a message; `num_bytes` are those of its encoding."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class ValueOutline:
    """One value of a message, as JSON."""

    name: str
    text: str


@dataclass(frozen=True)
class Manifest:
    """What a message holds; names are prefixed with their record's."""

    tensors: tuple[TensorOutline, ...]
    values: tuple[ValueOutline, ...]

    @property
    def num_bytes(self) -> int:
        """Bytes of all tensors, and of all values as JSON."""
        texts = sum(len(value.text.encode()) for value in self.values)
        return texts + sum(tensor.num_bytes for tensor in self.tensors)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of names, shapes, dtypes, bytes and values."""
        lines = [f"{each.name} {each.dtype} {list(each.shape)} {each.sha256}" for each in self.tensors]
        lines += [f"{each.name} {each.text}" for each in self.values]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def manifest(content: RecordDict) -> Manifest:
    """Return the outline of a message's content, records sorted by name, each in its own order."""
    tensors: list[TensorOutline] = []
    values: list[ValueOutline] = []
    for name in sorted(content):
        record = content[name]
        if isinstance(record, ArrayRecord):
            tensors += _tensors(name, record)
        else:
            assert isinstance(record, ConfigRecord | MetricRecord)
            values += _values(name, record)
    return Manifest(tuple(tensors), tuple(values))


def _tensors(record: str, arrays: ArrayRecord) -> Iterator[TensorOutline]:
    for name, array in arrays.items():
        digest = hashlib.sha256(array.data).hexdigest()
        yield TensorOutline(f"{record}/{name}", tuple(array.shape), array.dtype, len(array.data), digest)


def _values(record: str, values: ConfigRecord | MetricRecord) -> Iterator[ValueOutline]:
    for name in sorted(values):
        value = values[name]
        plain = value.hex() if isinstance(value, bytes) else value
        yield ValueOutline(f"{record}/{name}", json.dumps(plain, ensure_ascii=False))
