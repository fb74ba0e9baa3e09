"""The meaning of a knob beyond its value, declared where the knob is: `field(metadata=knob(...))`.

Every list of keys (those that may change on resume, those that one arm alone depends on, paths, …) is derived from the
declarations. A knob that declares nothing is taken for the strictest kind: all arms depend on it, so it may change
neither when a run is resumed nor between two calls of a comparison.
"""

from collections.abc import Callable
from dataclasses import Field, dataclass, fields, is_dataclass
from enum import StrEnum
from typing import Any


class Arm(StrEnum):
    """A way to train on the same data."""

    centralized = "centralized"
    federated = "federated"
    local = "local"
    fine_tuned = "fine_tuned"

    @property
    def per_site(self) -> bool:
        """Whether the arm trains one model for each site rather than one for all."""
        return self in (Arm.local, Arm.fine_tuned)


class PathKind(StrEnum):
    """How the value of a path knob is read."""

    path = "path"
    folder_or_name = "folder_or_name"
    """A folder if there is one of that name, otherwise a name on the hub or a built-in one."""


@dataclass(frozen=True)
class Knob:
    """The meaning of one knob or group of knobs."""

    resumable: bool = False
    """A resumed run may have another value: no whole round's result depends on it."""
    free: bool = False
    """Two calls of one comparison may have different values: no run's result depends on it."""
    arm: Arm | None = None
    """The only arm that depends on it; None where all do."""
    path: PathKind | None = None
    """The value is a path, or a list of paths."""
    tracked: bool = True
    """Trackers receive it as a hyper-parameter."""


def knob(
    *,
    resumable: bool = False,
    free: bool = False,
    arm: Arm | None = None,
    path: PathKind | None = None,
    tracked: bool = True,
) -> dict[str, Knob]:
    """Return a field's `metadata`; see `Knob`."""
    return {"knob": Knob(resumable, free, arm, path, tracked)}


def meaning(entry: Field[Any]) -> Knob:
    """Return the declared meaning of a field, or the strictest."""
    return entry.metadata.get("knob", Knob())


def keys(schema: type, chosen: Callable[[Knob], bool], prefix: str = "") -> tuple[str, ...]:
    """Return the dotted keys of the knobs that `chosen` accepts, in declared order; a whole group by its own key."""
    found: list[str] = []
    for entry in fields(schema):
        key = f"{prefix}{entry.name}"
        if chosen(meaning(entry)):
            found.append(key)
        elif isinstance(entry.type, type) and is_dataclass(entry.type):
            found += keys(entry.type, chosen, f"{key}.")
    return tuple(found)
