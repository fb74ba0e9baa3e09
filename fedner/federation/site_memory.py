"""What a site remembers between rounds and never sends: its place in the text, and AdamW's moments where it keeps them.

A node whose config names a folder (`memory`) keeps it on disk, one file per round, so that a run whose processes ended
can go on from an earlier round, and a round that is played again finds what it found before. Any other node leaves the
newest with Flower, which forgets when the process ends.

A study of MiniLM with kept moments writes 181 MB a site and round. For five sites, timed by themselves on a busy
machine, hashing (0.5 s of processor time), writing (1.1 s) and waiting for the flush (1.3 s) come to 2.9 s, a tenth of
a round of 25 s. Its nodes therefore say that they are `unflushed`: what they need next stays with Flower as well and is
not read back, and their files are neither hashed nor flushed, for another process on the same, still running machine.
A power failure costs such a run its rounds so far, see `run_of_study`.
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

from fedner.errors import RunDirectoryError, StateError
from fedner.federation import wire
from fedner.federation.checkpoints import KEPT, flush_file, flush_folder
from fedner.state import digest

MEMORY = "memory"
"""Key of the node config: the folder, this site's alone."""
UNFLUSHED = "memory-unflushed"
"""Key of the node config: whether the files need not survive a power failure."""
_ROUND = "of-round"

Arrays = Mapping[str, NDArray[np.generic]]


def remember(context: Context, round_number: int, arrays: Arrays) -> None:
    """Keep what the site has to know after a round; older rounds go, but for those that a server may fall back to.

    Raises:
        RunDirectoryError: it cannot be written, such as on a full disk.
    """
    folder, flushed = _folder(context), not context.node_config.get(UNFLUSHED)
    if folder is None:
        wire.remember(context.state, arrays)
        return
    if not flushed:
        wire.remember(context.state, {**arrays, _ROUND: np.array(round_number, dtype=np.int64)})
    try:
        _write(_file(folder, round_number), arrays, flushed)
    except (OSError, SafetensorError) as error:
        raise RunDirectoryError(f"{folder}: wanted to keep what the site has to know, could not ({error})") from error
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
    newest = wire.recall(context.state) if context.node_config.get(UNFLUSHED) else None
    if newest is not None and int(newest.pop(_ROUND)) < round_number:
        return newest
    known = [number for number in _rounds(folder) if number < round_number]
    if not known:
        return None
    path = _file(folder, known[-1])
    try:
        arrays, written = _read(path)
    except (OSError, SafetensorError) as error:
        raise StateError(f"what the site remembers of round {known[-1]} cannot be read") from error
    if written is not None and digest(arrays) != written:
        raise StateError(f"what the site remembers of round {known[-1]} is not what was written; the file was altered")
    return arrays


def _write(path: Path, arrays: Arrays, flushed: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.parent / f".draft.{os.getpid()}"
    content = {name: np.asarray(array, order="C") for name, array in sorted(arrays.items())}
    # Without a power failure no file is half there: it is written beside its place and renamed.
    save_file(content, draft, {"sha256": digest(content)} if flushed else None)
    if flushed:
        flush_file(draft)
    os.replace(draft, path)
    if flushed:
        flush_folder(path.parent)


def _read(path: Path) -> tuple[dict[str, NDArray[np.generic]], str | None]:
    opened: Any = safe_open(path, "np")  # its methods have no types
    with opened as content:
        arrays = {str(name): content.get_tensor(name) for name in sorted(content.keys())}
        metadata: dict[str, str] = content.metadata() or {}
        return arrays, metadata.get("sha256")


def _folder(context: Context) -> Path | None:
    named = context.node_config.get(MEMORY)
    return Path(str(named)) if named else None


def _file(folder: Path, number: int) -> Path:
    return folder / f"round-{number:04d}.safetensors"


def _rounds(folder: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix("round-")) for path in folder.glob("round-[0-9]*.safetensors"))
