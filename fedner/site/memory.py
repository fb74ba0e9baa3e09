"""What a site remembers between rounds and never sends: its place in the text, AdamW's moments where it keeps them, its
own terms against drift, and the tensors that are declared personal.

A node whose config names a folder (`memory`) keeps it on disk, one file per round, so that a run whose processes ended
can go on from an earlier round, and a round that is played again finds what it found before. Any other node leaves it
with Flower, which forgets when the process ends. Personal tensors are wanted for scoring as well, of the best round in
the end, so they are kept for as long as the server may go back to a round.

A study of MiniLM with kept moments writes 181 MB a site and round. For five sites, timed by themselves on a busy
machine, hashing (0.5 s of processor time), writing (1.1 s) and waiting for the flush (1.3 s) come to 2.9 s, a tenth of
a round of 25 s. Its nodes therefore say that they are `unflushed`: what they need next stays with Flower as well and is
not read back, and their files are neither hashed nor flushed, for another process on the same, still running machine.
A power failure costs such a run its rounds so far, see `run_of_study`.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Context, RecordDict
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

from fedner.config.checks import is_run_name
from fedner.errors import FederationError, StateError
from fedner.files import flush_file, flush_folder, reason_of
from fedner.protocol.arrays import load_from_context, store_in_context
from fedner.protocol.retention import KEPT
from fedner.site.node_config import MEMORY, MEMORY_OF_RUNS, UNFLUSHED
from fedner.tensors import State, digest

_TRAINING = "training"
_PERSONAL = "personal"
_ROUND = "of-round"

Arrays = Mapping[str, NDArray[np.generic]]


def own_folder(context: Context) -> Path | None:
    """Return the folder in which the site keeps what it remembers; None where it leaves that with Flower."""
    named = context.node_config.get(MEMORY)
    return Path(str(named)) if named else None


def settle(context: Context, run: str, seed: int, contract: str) -> None:
    """Choose the folder of a run, for a site that keeps one for each; a resumed run finds its own again.

    Raises:
        FederationError: the run's name cannot be a folder's.
    """
    root = context.node_config.get(MEMORY_OF_RUNS)
    if not root:
        return
    if not is_run_name(run):
        raise FederationError("expected a run's name of letters, digits, '.', '_' and '-', got another")
    apart = hashlib.sha256(f"{run}/{seed}/{contract}".encode()).hexdigest()[:8]
    context.node_config[MEMORY] = str(Path(str(root)) / f"{run}-{apart}")


def remember(context: Context, round_number: int, arrays: Arrays) -> None:
    """Keep what the site has to know after a round; older rounds go, but for those that a server may fall back to.

    Raises:
        StateError: it cannot be written; the rounds before are untouched.
    """
    folder = own_folder(context)
    if folder is None:
        store_in_context(context.state, _TRAINING, arrays)
        return
    if _unflushed(context):
        store_in_context(context.state, _TRAINING, {**arrays, _ROUND: np.array(round_number, dtype=np.int64)})
    _write(context, folder, _TRAINING, round_number, arrays)
    _prune(folder, _TRAINING, round_number)


def recall(context: Context, round_number: int) -> dict[str, NDArray[np.generic]] | None:
    """Return what the site knew before a round, or None if it has never trained.

    Raises:
        StateError: the file is damaged.
    """
    folder = own_folder(context)
    if folder is None:
        return load_from_context(context.state, _TRAINING)
    newest = load_from_context(context.state, _TRAINING) if _unflushed(context) else None
    if newest is not None and int(newest.pop(_ROUND)) < round_number:
        return newest
    return _read_before(folder, _TRAINING, round_number)


def remember_personal(context: Context, round_number: int, state: State, best_rounds: Sequence[int]) -> None:
    """Keep the site's personal tensors after a round, and those of the rounds that the server may go back to.

    Raises:
        StateError: they cannot be written; those of the rounds before are untouched.
    """
    folder = own_folder(context)
    if folder is not None:
        _write(context, folder, _PERSONAL, round_number, state)
        _prune(folder, _PERSONAL, round_number, best_rounds)
        return
    memory = context.state
    store_in_context(memory, f"{_PERSONAL}-{round_number}", state)
    for number in set(_remembered(memory)) - {round_number, *best_rounds}:
        del memory[f"{_PERSONAL}-{number}"]


def recall_personal(context: Context, round_number: int) -> State | None:
    """Return the site's personal tensors as they were after a round, or the last before it in which the site trained.

    Raises:
        StateError: the file is damaged.
    """
    folder = own_folder(context)
    if folder is not None:
        arrays = _read_before(folder, _PERSONAL, round_number + 1)
    else:
        known = [number for number in _remembered(context.state) if number <= round_number]
        arrays = load_from_context(context.state, f"{_PERSONAL}-{max(known)}") if known else None
    return None if arrays is None else {name: np.asarray(array, np.float32) for name, array in arrays.items()}


def _unflushed(context: Context) -> bool:
    return bool(context.node_config.get(UNFLUSHED))


def _remembered(memory: RecordDict) -> list[int]:
    return [int(key.removeprefix(f"{_PERSONAL}-")) for key in memory if key.startswith(f"{_PERSONAL}-")]


def _write(context: Context, folder: Path, kind: str, round_number: int, arrays: Arrays) -> None:
    try:
        _put(_file(folder, kind, round_number), arrays, flushed=not _unflushed(context))
    except (OSError, SafetensorError) as error:
        raise StateError(
            f"what the site remembers of round {round_number} cannot be written ({reason_of(error)})"
        ) from error


def _put(path: Path, arrays: Arrays, flushed: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.parent / f".draft.{os.getpid()}"
    content = {name: np.asarray(array, order="C") for name, array in sorted(arrays.items())}
    try:
        # Without a power failure no file is half there: it is written beside its place and renamed.
        save_file(content, draft, {"sha256": digest(content)} if flushed else None)
        if flushed:
            flush_file(draft)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    if flushed:
        flush_folder(path.parent)


def _prune(folder: Path, kind: str, round_number: int, also: Sequence[int] = ()) -> None:
    rounds = _rounds(folder, kind)
    needed = [number for number in rounds if number <= round_number][-KEPT - 1 :]
    for number in set(rounds) - {*needed, *also}:  # a round that is played again makes those after it worthless
        _file(folder, kind, number).unlink(missing_ok=True)


def _read_before(folder: Path, kind: str, round_number: int) -> dict[str, NDArray[np.generic]] | None:
    known = [number for number in _rounds(folder, kind) if number < round_number]
    if not known:
        return None
    path = _file(folder, kind, known[-1])
    try:
        arrays, written = _read(path)
    except (OSError, SafetensorError) as error:
        raise StateError(f"what the site remembers of round {known[-1]} cannot be read") from error
    if written is not None and digest(arrays) != written:
        raise StateError(f"what the site remembers of round {known[-1]} is not what was written; the file was altered")
    return arrays


def _read(path: Path) -> tuple[dict[str, NDArray[np.generic]], str | None]:
    opened: Any = safe_open(path, "np")  # its methods have no types
    with opened as content:
        arrays = {str(name): content.get_tensor(name) for name in sorted(content.keys())}
        metadata: dict[str, str] = content.metadata() or {}
        return arrays, metadata.get("sha256")


def _file(folder: Path, kind: str, number: int) -> Path:
    return folder / f"{kind}-{number:04d}.safetensors"


def _rounds(folder: Path, kind: str) -> list[int]:
    return sorted(int(path.stem.removeprefix(f"{kind}-")) for path in folder.glob(f"{kind}-[0-9]*.safetensors"))
