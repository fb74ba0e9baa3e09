"""What a site remembers between rounds and never sends: its place in the text, and AdamW's moments where it keeps them.

A node whose config names a folder (`memory`) keeps it on disk, one file per round, so that a run whose processes ended
can go on from an earlier round, and a round that is played again finds what it found before. Any other node leaves the
newest with Flower, which forgets when the process ends.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Context
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

from fedner.errors import StateError
from fedner.federation import wire
from fedner.federation.checkpoints import KEPT, flush_file, flush_folder
from fedner.state import digest

MEMORY = "memory"
"""Key of the node config: the folder, this site's alone."""

Arrays = Mapping[str, NDArray[np.generic]]


def remember(context: Context, round_number: int, arrays: Arrays) -> None:
    """Keep what the site has to know after a round; older rounds go, but for those that a server may fall back to.

    Raises:
        StateError: it cannot be written; the rounds before are untouched.
    """
    folder = _folder(context)
    if folder is None:
        wire.remember(context.state, arrays)
        return
    try:
        _write(folder, round_number, arrays)
    except (OSError, SafetensorError) as error:
        told = error.strerror if isinstance(error, OSError) else error  # names no path, since it leaves the site
        raise StateError(f"what the site remembers of round {round_number} cannot be written ({told})") from error
    rounds = _rounds(folder)
    needed = [number for number in rounds if number <= round_number][-KEPT - 1 :]
    for number in set(rounds) - set(needed):  # a round that is played again makes those after it worthless
        _file(folder, number).unlink(missing_ok=True)


def recall(context: Context, round_number: int) -> dict[str, NDArray[np.generic]] | None:
    """Return what the site knew before a round, or None if it has never trained.

    Raises:
        StateError: the file is damaged.
    """
    folder = _folder(context)
    if folder is None:
        return wire.recall(context.state)
    known = [number for number in _rounds(folder) if number < round_number]
    if not known:
        return None
    path = _file(folder, known[-1])
    try:
        arrays, written = _read(path)
    except (OSError, SafetensorError) as error:
        raise StateError(f"what the site remembers of round {known[-1]} cannot be read") from error
    if digest(arrays) != written:
        raise StateError(f"what the site remembers of round {known[-1]} is not what was written; the file was altered")
    return arrays


def _write(folder: Path, round_number: int, arrays: Arrays) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".draft.{os.getpid()}"
    content = {name: np.asarray(array, order="C") for name, array in sorted(arrays.items())}
    try:
        save_file(content, draft, {"sha256": digest(content)})
        flush_file(draft)
        os.replace(draft, _file(folder, round_number))
    finally:
        draft.unlink(missing_ok=True)
    flush_folder(folder)


def _read(path: Path) -> tuple[dict[str, NDArray[np.generic]], str]:
    opened: Any = safe_open(path, "np")  # its methods have no types
    with opened as content:
        arrays = {str(name): content.get_tensor(name) for name in sorted(content.keys())}
        metadata: dict[str, str] = content.metadata() or {}
        return arrays, metadata.get("sha256", "")


def _folder(context: Context) -> Path | None:
    named = context.node_config.get(MEMORY)
    return Path(str(named)) if named else None


def _file(folder: Path, number: int) -> Path:
    return folder / f"round-{number:04d}.safetensors"


def _rounds(folder: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix("round-")) for path in folder.glob("round-[0-9]*.safetensors"))
