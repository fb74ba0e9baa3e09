"""Checkpoints of whole rounds: a run resumes from them after its process or its machine went down.

    checkpoints/round-0003/  state.safetensors     the global state after round 3
                             moments.safetensors   the aggregation's state, if it has any
                             checkpoint.json       every round so far, and the digests of the two files above

A checkpoint is written beside its place, flushed to the disk and renamed: it is there whole or not at all. Digests tell
when a disk gave back something else; the round before is then taken. Generators need no place here: each is derived
from the run's seed and the round (`fedner.seeding`).
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file  # pyright: ignore[reportUnknownVariableType]

from fedner.errors import FednerError, RunDirectoryError
from fedner.files import read_json, replacing, write_json
from fedner.protocol.retention import KEPT
from fedner.records.results import RoundRecord, best_round, round_from_json, round_to_json
from fedner.server.aggregation import AggregationState
from fedner.tensors import State, digest


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """State of a run after a whole round; before the first one, `rounds` is empty.

    `contract` is the label contract's digest, `examples` counts training sentences seen by all sites together.
    """

    contract: str
    rounds: tuple[RoundRecord, ...]
    examples: int
    state: State = field(repr=False)
    state_digest: str
    memory: AggregationState = field(repr=False)

    @property
    def round(self) -> int:
        """Number of the last whole round; 0 before the first."""
        return self.rounds[-1].round if self.rounds else 0


def save_checkpoint(folder: Path, checkpoint: Checkpoint, kept: int = KEPT) -> None:
    """Write a checkpoint, then remove those that are no longer needed.

    Args:
        folder: the run's `checkpoints`.
        checkpoint: after at least one round.
        kept: newest checkpoints to keep, at least 1; the best ones seen from each of them stay as well.

    Raises:
        RunDirectoryError: it cannot be written; those before it are untouched.
    """
    place = folder / _name(checkpoint.round)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(place, flushed=True) as draft:
            draft.mkdir()
            _write(draft, checkpoint)
            if place.exists():  # damaged, or of rounds that a resumed run did not trust
                shutil.rmtree(place)
    except (OSError, SafetensorError) as error:  # safetensors reports a full disk in an error of its own
        raise RunDirectoryError(
            f"{place}: cannot write the checkpoint of round {checkpoint.round} ({error}); the round "
            "before is kept: mend that and resume the run"
        ) from error
    _prune(folder, checkpoint.rounds, kept)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint.

    Raises:
        RunDirectoryError: it is missing, cannot be read, or its bytes are not those that were written.
    """
    try:
        plain = read_json(path / "checkpoint.json")
        tensors = load_file(path / "state.safetensors")
        state = {name: np.ascontiguousarray(tensors[name], dtype=np.float32) for name in plain["names"]}
        rounds = tuple(round_from_json(entry) for entry in plain["rounds"])
        moments = load_file(path / "moments.safetensors") if plain["moments"] else {}
        memory = AggregationState.from_arrays(moments) if moments else AggregationState(plain["aggregated"], {})
        checkpoint = Checkpoint(
            contract=plain["contract"],
            rounds=rounds,
            examples=plain["examples"],
            state=state,
            state_digest=plain["state"],
            memory=memory,
        )
    except (OSError, SafetensorError, KeyError, TypeError, IndexError, FednerError) as error:
        raise RunDirectoryError(f"{path}: expected a checkpoint, got one that cannot be read ({error})") from error
    if digest(state) != plain["state"] or (moments and _unordered_digest(moments) != plain["moments"]):
        raise RunDirectoryError(f"{path}: the tensors are not those that were written; the file was altered")
    return checkpoint


def latest_checkpoint(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest whole checkpoint, if there is any, and why newer ones were passed over.

    What it needs besides itself, the checkpoint of its best round, must be whole as well.
    """
    damaged: list[str] = []
    numbers = [int(path.name.removeprefix("round-")) for path in folder.glob("round-[0-9]*")]
    for path in (folder / _name(number) for number in sorted(numbers, reverse=True)):
        try:
            checkpoint = load_checkpoint(path)
            load_best(folder, checkpoint)
        except RunDirectoryError as error:
            damaged.append(str(error))
        else:
            return checkpoint, damaged
    return None, damaged


def load_best(folder: Path, checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint of the round that is best seen from this one.

    Raises:
        RunDirectoryError: it is missing or damaged.
    """
    best = best_round(checkpoint.rounds)
    return checkpoint if best == checkpoint.round else load_checkpoint(folder / _name(best))


def best_rounds_kept(rounds: Sequence[RoundRecord], kept: int = KEPT) -> tuple[int, ...]:
    """Return the best rounds as seen from each of the newest checkpoints: a run may go back to any of them."""
    return tuple(sorted({best_round(rounds[: len(rounds) - back]) for back in range(min(kept, len(rounds)))}))


def _name(number: int) -> str:
    return f"round-{number:04d}"


def _write(draft: Path, checkpoint: Checkpoint) -> None:
    moments = checkpoint.memory.to_arrays() if checkpoint.memory.moments else {}
    save_file(checkpoint.state, draft / "state.safetensors")
    if moments:
        save_file(moments, draft / "moments.safetensors")
    plain = {
        "contract": checkpoint.contract,
        "examples": checkpoint.examples,
        "aggregated": checkpoint.memory.round,
        "state": checkpoint.state_digest,
        "moments": _unordered_digest(moments) if moments else None,
        "names": list(checkpoint.state),
        "rounds": [round_to_json(entry) for entry in checkpoint.rounds],
    }
    write_json(draft / "checkpoint.json", plain)


def _unordered_digest(arrays: State) -> str:
    """Return the digest of arrays from a file, which need not keep their order."""
    return digest(dict(sorted(arrays.items())))


def _prune(folder: Path, rounds: Sequence[RoundRecord], kept: int) -> None:
    # A run that falls back to the checkpoint before the newest needs the round that was best then.
    needed = {_name(entry.round) for entry in rounds[-kept:]}
    needed |= {_name(number) for number in best_rounds_kept(rounds, kept)}
    for path in folder.iterdir():
        if path.name not in needed:
            shutil.rmtree(path, ignore_errors=True)
