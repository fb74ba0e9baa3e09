"""Configs as keys of a cache."""

from dataclasses import dataclass
from typing import Generic, TypeVar

Part = TypeVar("Part")


@dataclass(frozen=True)
class ByValue(Generic[Part]):
    """A config, or a part of one, that can be hashed: equal ones are one key. Nothing assigns to them after loading."""

    value: Part

    def __hash__(self) -> int:
        """Return a hash of the value; its own fields may be lists."""
        return hash(repr(self.value))
