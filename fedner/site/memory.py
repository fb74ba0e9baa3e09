"""What a site keeps of a run between messages and never sends, by name and round.

The training memory (data position, AdamW's moments where the run keeps them, the site's drift terms) and the personal
tensors are kept today. A node whose config names a folder keeps them there, one file for each name and round, flushed
to the disk before the site answers: an interrupted run resumes from any round that the server still has, after a power
failure too, and a retried round finds what it found the first time. Any other node, such as one on Ray, leaves them in
Flower's context, which is lost when the process ends.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from flwr.app import ConfigRecord, Context, RecordDict
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

from fedner.config.checks import is_run_name
from fedner.errors import FederationError, StateError
from fedner.files import reason_of, replacing
from fedner.protocol.arrays import load_from_context, store_in_context
from fedner.protocol.messages import Header
from fedner.protocol.retention import KEPT
from fedner.site.node_config import MEMORY, MEMORY_OF_RUNS
from fedner.tensors import digest

TRAINING = "training"
"""Name of what local training needs for its next round."""
PERSONAL = "personal"
"""Name of the tensors that stay at the site."""
_KEPT_IN_CONTEXT = 2
"""Rounds of a name in Flower's context: the newest, and the one before it, which a retried round needs."""

Arrays = Mapping[str, NDArray[np.generic]]


class SiteMemory(Protocol):
    """What a site keeps of one run."""

    @property
    def folder(self) -> Path | None:
        """The site's own folder for this run; None without one."""
        ...

    def keep(self, name: str, round_number: int, arrays: Arrays, also: Collection[int] = ()) -> None:
        """Keep arrays after a round, and drop those of rounds that nobody can go back to.

        Args:
            name: which of the site's memories.
            round_number: the round after which they hold.
            arrays: float32 or int64, of any shape.
            also: earlier rounds that must stay.

        Raises:
            StateError: they cannot be written; earlier rounds are untouched.
        """
        ...

    def before(self, name: str, round_number: int) -> Arrays | None:
        """Return the arrays kept last before a round, or None if there are none.

        Raises:
            StateError: the file is damaged.
        """
        ...

    def note(self, name: str, values: Mapping[str, str]) -> None:
        """Replace a note of the run.

        Raises:
            StateError: it cannot be written.
        """
        ...

    def noted(self, name: str) -> Mapping[str, str] | None:
        """Return a note of the run, or None if there is none.

        Raises:
            StateError: the file is damaged.
        """
        ...


def memory_of(context: Context, header: Header) -> SiteMemory:
    """Return the memory of the run that a message belongs to; a resumed run finds its own again.

    Raises:
        FederationError: the run's name cannot be a folder's.
    """
    runs, folder = context.node_config.get(MEMORY_OF_RUNS), context.node_config.get(MEMORY)
    if runs:
        if not is_run_name(header.run):
            raise FederationError("expected a run's name of letters, digits, '.', '_' and '-', got another")
        apart = hashlib.sha256(f"{header.run}/{header.seed}/{header.contract}".encode()).hexdigest()[:8]
        return FolderMemory(Path(str(runs)) / f"{header.run}-{apart}")
    return FolderMemory(Path(str(folder))) if folder else ContextMemory(context.state)


@dataclass(frozen=True)
class FolderMemory:
    """A memory on disk, one safetensors file for each name and round, with its digest, and one JSON file a note."""

    folder: Path

    def keep(self, name: str, round_number: int, arrays: Arrays, also: Collection[int] = ()) -> None:
        """As `SiteMemory.keep`."""
        content = {key: np.asarray(array, order="C") for key, array in sorted(arrays.items())}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(self._file(name, round_number), flushed=True) as draft:
                save_file(content, draft, {"sha256": digest(content)})
        except (OSError, SafetensorError) as error:
            raise StateError(
                f"what the site remembers of round {round_number} cannot be written ({reason_of(error)})"
            ) from error
        for number in _droppable(self._rounds(name), round_number, KEPT + 1, also):
            self._file(name, number).unlink(missing_ok=True)

    def before(self, name: str, round_number: int) -> Arrays | None:
        """As `SiteMemory.before`."""
        known = [number for number in self._rounds(name) if number < round_number]
        if not known:
            return None
        try:
            arrays, written = _read(self._file(name, known[-1]))
        except (OSError, SafetensorError) as error:
            raise StateError(f"what the site remembers of round {known[-1]} cannot be read") from error
        # Earlier versions wrote no digest in the runs of a study.
        if written is not None and digest(arrays) != written:
            raise StateError(
                f"what the site remembers of round {known[-1]} is not what was written; the file was altered"
            )
        return arrays

    def note(self, name: str, values: Mapping[str, str]) -> None:
        """As `SiteMemory.note`."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(self.folder / f"{name}.json", flushed=True) as draft:
                draft.write_text(json.dumps(dict(values)), encoding="utf-8")
        except OSError as error:
            raise StateError(f"what the site notes of the run cannot be written ({reason_of(error)})") from error

    def noted(self, name: str) -> Mapping[str, str] | None:
        """As `SiteMemory.noted`."""
        try:
            return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StateError("what the site noted of the run cannot be read") from error

    def _file(self, name: str, number: int) -> Path:
        return self.folder / f"{name}-{number:04d}.safetensors"

    def _rounds(self, name: str) -> list[int]:
        found = self.folder.glob(f"{name}-[0-9]*.safetensors")
        return sorted(int(path.stem.removeprefix(f"{name}-")) for path in found)


@dataclass(frozen=True)
class ContextMemory:
    """A memory in Flower's context, which lives as long as the process that holds it."""

    state: RecordDict

    @property
    def folder(self) -> None:
        """None: nothing of it is on disk."""
        return None

    def keep(self, name: str, round_number: int, arrays: Arrays, also: Collection[int] = ()) -> None:
        """As `SiteMemory.keep`."""
        store_in_context(self.state, f"{name}-{round_number}", arrays)
        for number in _droppable(self._rounds(name), round_number, _KEPT_IN_CONTEXT, also):
            del self.state[f"{name}-{number}"]

    def before(self, name: str, round_number: int) -> Arrays | None:
        """As `SiteMemory.before`."""
        known = [number for number in self._rounds(name) if number < round_number]
        return load_from_context(self.state, f"{name}-{known[-1]}") if known else None

    def note(self, name: str, values: Mapping[str, str]) -> None:
        """As `SiteMemory.note`."""
        self.state[name] = ConfigRecord(dict(values))

    def noted(self, name: str) -> Mapping[str, str] | None:
        """As `SiteMemory.noted`."""
        found = self.state.get(name)
        return {key: str(value) for key, value in found.items()} if isinstance(found, ConfigRecord) else None

    def _rounds(self, name: str) -> list[int]:
        known = (key.removeprefix(f"{name}-") for key in self.state if key.startswith(f"{name}-"))
        return sorted(int(number) for number in known)


def _droppable(rounds: Sequence[int], round_number: int, kept: int, also: Collection[int]) -> set[int]:
    needed = [number for number in rounds if number <= round_number][-kept:]
    return set(rounds) - {*needed, *also}  # a retried round makes those after it worthless


def _read(path: Path) -> tuple[dict[str, NDArray[np.generic]], str | None]:
    opened: Any = safe_open(path, "np")  # its methods have no types
    with opened as content:
        arrays = {str(name): content.get_tensor(name) for name in sorted(content.keys())}
        metadata: dict[str, str] = content.metadata() or {}
        return arrays, metadata.get("sha256")
