"""Buffer of all updates of a round, for rules that need every one: in memory up to a limit, on disk beyond it.

An update that would go past the limit is written as safetensors when it arrives and released. It is read back
memory-mapped, a window of one tensor at a time, so that at most the limit, one update and a window per site are in
memory together, whatever the number of sites. Where an update lies changes no bit of a result: the same numbers are
stacked in the same chunks.
"""

import shutil
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file  # pyright: ignore[reportUnknownVariableType]

from fedner.errors import FederationError, RunDirectoryError
from fedner.server.aggregation.mean import CHUNK, chunks
from fedner.server.aggregation.updates import Update, check_update
from fedner.tensors import State, num_bytes

WINDOW = 16 * CHUNK
"""Elements read from a file at a time, 1 MiB: opening a file costs little beside it, and a hundred of them fit."""


@dataclass(frozen=True)
class Spill:
    """Where updates lie that would take too much memory.

    Args:
        folder: for this alone; made when it is needed, for its owner's eyes only, and removed when the step ends.
        above_bytes: size of the tensors that may stay in memory, all updates together.
    """

    folder: Path
    above_bytes: int


@dataclass(frozen=True, eq=False)
class _OnDisk:
    """An update in a file of flat tensors, so that any stretch of one can be read by itself."""

    path: Path
    site: str
    weight: float
    like: State

    def window(self, name: str, part: slice) -> NDArray[np.float32]:
        """Return a stretch of one tensor, flattened, and forget the mapping it was read through."""
        with _reading(self.path):
            opened: Any = safe_open(self.path, "np")  # its methods have no types
            with opened as content:
                return content.get_slice(name)[part]

    def update(self) -> Update:
        """Return it as it was handed in."""
        with _reading(self.path):
            flat = load_file(self.path)
        return Update(
            self.site, {name: flat[name].reshape(like.shape) for name, like in self.like.items()}, self.weight
        )


@dataclass(frozen=True, eq=False)
class _InMemory:
    held: Update

    def window(self, name: str, part: slice) -> NDArray[np.float32]:
        """Return a view of a stretch of one tensor, flattened."""
        return self.held.arrays[name].reshape(-1)[part]

    def update(self) -> Update:
        """Return it as it was handed in."""
        return self.held


class KeptUpdates:
    """The updates of a round, sorted by site.

    Args:
        like: a state with their names, shapes and dtypes.
        held: where each lies, in the order of sites.
    """

    def __init__(self, like: State, held: Sequence[_InMemory | _OnDisk]) -> None:
        self._like = like
        self._held = held

    def __len__(self) -> int:
        """Return the number of updates."""
        return len(self._held)

    def update(self, index: int) -> Update:
        """Return one update, whole."""
        return self._held[index].update()

    def chunks(self, name: str, chosen: Sequence[int] | None = None) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield one tensor of all or the chosen updates, as (where, values of shape (sites, at most CHUNK))."""
        held = self._held if chosen is None else [self._held[index] for index in chosen]
        size = self._like[name].size
        for start in range(0, size, WINDOW):
            rows = [each.window(name, slice(start, min(start + WINDOW, size))) for each in held]
            for part in chunks(len(rows[0])):
                yield slice(start + part.start, start + part.stop), np.stack([row[part] for row in rows])
            rows.clear()  # else two windows of each would be in memory while the next are read


@contextmanager
def keep(before: State, updates: Iterable[Update], spill: Spill | None) -> Generator[KeptUpdates, None, None]:
    """Check each update as it comes and keep it; on leaving, however it is left, nothing stays on disk.

    Args:
        before: a state with the names, shapes and dtypes every update must have.
        updates: one per site, in any order.
        spill: where those go that memory is not to hold; None keeps all in memory.

    Raises:
        StateError: an update's tensors are not those of `before`.
        FederationError: there is no update, two of one site, or a weight is out of range.
        RunDirectoryError: an update cannot be written, such as on a full disk, or not be read back.
    """
    held: dict[str, _InMemory | _OnDisk] = {}
    in_memory = 0
    try:
        for update in updates:
            check_update(update, before)
            if update.site in held:
                raise FederationError(f"site '{update.site}' handed in two updates in one round; expected one per site")
            size = num_bytes(update.arrays)
            if spill is None or in_memory + size <= spill.above_bytes:
                held[update.site] = _InMemory(update)
                in_memory += size
            else:
                held[update.site] = _write(spill.folder, len(held), update, before)
            del update  # else it would be alive while the next one arrives
        if not held:
            raise FederationError("no update to aggregate: expected at least one site's, got none")
        yield KeptUpdates(before, [held[site] for site in sorted(held)])
    finally:
        if spill is not None:
            shutil.rmtree(spill.folder, ignore_errors=True)


def _write(folder: Path, number: int, update: Update, like: State) -> _OnDisk:
    path = folder / f"{number}.safetensors"  # a site's name may hold anything
    flat = {name: np.ascontiguousarray(array.reshape(-1)) for name, array in update.arrays.items()}
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        save_file(flat, path)
    except (OSError, SafetensorError) as error:
        raise RunDirectoryError(
            f"{folder}: cannot write {num_bytes(flat):,} bytes for the update of site '{update.site}' "
            f"({error}); make room there, or keep more in memory with federation.spill_bytes, and resume the run"
        ) from error
    return _OnDisk(path, update.site, update.weight, like)


@contextmanager
def _reading(path: Path) -> Generator[None, None, None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise RunDirectoryError(
            f"{path}: cannot read the update that was kept here ({error}); resume the run"
        ) from error
