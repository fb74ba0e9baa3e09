from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedner.data.labels import EntityType, LabelContract
from fedner.errors import RunDirectoryError
from fedner.metrics import Counts, score
from fedner.records.results import RoundRecord
from fedner.refusals import Origin, Refusal, RefusalCode
from fedner.server.aggregation import AggregationState
from fedner.server.checkpoints import Checkpoint, latest_checkpoint, load_best, load_checkpoint, save_checkpoint
from fedner.tensors import State, digest

CONTRACT = LabelContract("people", 1, (EntityType("PER", "A person"),))


def state_of(number: int) -> State:
    return {"z": np.full(4, number, dtype=np.float32), "a": np.full((2, 2), number / 3, dtype=np.float32)}


def round_of(number: int, found: int) -> RoundRecord:
    return RoundRecord(
        round=number,
        dev=score(Counts((found,), (10 - found,), (10 - found,)), CONTRACT),
        seconds=0.5,
        sites=("a", "b"),
        refused={"c": Refusal(RefusalCode.diverged, "not finite", Origin.server, "train")},
        train_loss=0.1 + 0.2,
    )


def after(found: list[int], moments: dict[str, State] | None = None) -> Checkpoint:
    """Return the checkpoint after one round per number of entities found, of ten."""
    state = state_of(len(found))
    return Checkpoint(
        contract=CONTRACT.digest,
        rounds=tuple(round_of(number, hits) for number, hits in enumerate(found, start=1)),
        examples=7 * len(found),
        state=state,
        state_digest=digest(state),
        memory=AggregationState(round=len(found), moments=moments or {}),
    )


def played(folder: Path, found: list[int], kept: int = 2) -> list[str]:
    for rounds in range(1, len(found) + 1):
        save_checkpoint(folder, after(found[:rounds]), kept)
    return sorted(path.name for path in folder.iterdir())


def spoil(path: Path, at: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))


def test_a_checkpoint_comes_back_bit_for_bit_and_in_order(tmp_path: Path) -> None:
    moments = {"first": state_of(5), "second": state_of(6)}
    saved = after([3, 4, 5], moments)
    save_checkpoint(tmp_path, saved)
    loaded, damaged = latest_checkpoint(tmp_path)
    assert loaded is not None
    assert damaged == []
    assert (loaded.rounds, loaded.examples, loaded.contract) == (saved.rounds, saved.examples, saved.contract)
    assert list(loaded.state) == ["z", "a"]
    assert digest(loaded.state) == saved.state_digest
    assert loaded.memory.round == 3
    for moment, tensors in moments.items():
        assert digest(loaded.memory.moments[moment]) == digest(dict(sorted(tensors.items())))


def test_the_newest_stay_and_those_that_are_best_seen_from_each_of_them(tmp_path: Path) -> None:
    assert played(tmp_path / "a", [5, 4, 3, 2]) == ["round-0001", "round-0003", "round-0004"]
    # Round 4 is the best now, but round 3 may have to go on, and seen from there the best is round 1.
    assert played(tmp_path / "b", [5, 4, 3, 9]) == ["round-0001", "round-0003", "round-0004"]
    assert played(tmp_path / "c", [1, 2, 3, 4]) == ["round-0003", "round-0004"]
    assert played(tmp_path / "d", [5, 4, 3, 2], kept=1) == ["round-0001", "round-0004"]


def test_the_first_of_equally_good_rounds_is_best(tmp_path: Path) -> None:
    played(tmp_path, [3, 5, 5])
    newest, _ = latest_checkpoint(tmp_path)
    assert newest is not None
    assert load_best(tmp_path, newest).round == 2


@pytest.mark.parametrize("name", ["state.safetensors", "checkpoint.json"])
@pytest.mark.parametrize("harm", ["cut", "missing", "flipped"])
def test_a_damaged_checkpoint_is_passed_over_with_the_reason(tmp_path: Path, name: str, harm: str) -> None:
    played(tmp_path, [1, 2, 3])
    path = tmp_path / "round-0003" / name
    match harm:
        case "cut":
            path.write_bytes(path.read_bytes()[:20])
        case "missing":
            path.unlink()
        case _:
            spoil(path, at=-1 if name == "state.safetensors" else 0)
    found, damaged = latest_checkpoint(tmp_path)
    assert found is not None
    assert found.round == 2
    assert len(damaged) == 1
    assert "round-0003" in damaged[0]


def test_damaged_moments_are_noticed(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, after([1], {"momentum": state_of(2)}))
    spoil(tmp_path / "round-0001" / "moments.safetensors")
    with pytest.raises(RunDirectoryError, match="altered"):
        load_checkpoint(tmp_path / "round-0001")


def test_a_checkpoint_whose_best_round_is_gone_is_not_gone_on_from(tmp_path: Path) -> None:
    played(tmp_path, [5, 4, 3])
    spoil(tmp_path / "round-0001" / "state.safetensors")
    found, damaged = latest_checkpoint(tmp_path)
    assert found is None
    assert len(damaged) == 3


def test_a_crash_while_writing_leaves_the_former_checkpoint(tmp_path: Path) -> None:
    played(tmp_path, [1])
    draft = tmp_path / ".round-0002.999"
    draft.mkdir()
    (draft / "state.safetensors").write_bytes(b"half")
    found, damaged = latest_checkpoint(tmp_path)
    assert found is not None
    assert (found.round, damaged) == (1, [])
    save_checkpoint(tmp_path, after([1, 2]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["round-0001", "round-0002"]


def test_a_round_that_is_played_again_replaces_what_came_after_it(tmp_path: Path) -> None:
    played(tmp_path, [1, 2, 3])
    spoil(tmp_path / "round-0003" / "state.safetensors")
    save_checkpoint(tmp_path, after([1, 2]))
    assert [path.name for path in tmp_path.iterdir()] == ["round-0002"]


def test_rounds_beyond_four_digits_are_still_in_order(tmp_path: Path) -> None:
    for number in (9_999, 10_000):
        late = replace(after([1]), rounds=(round_of(number, 1),))
        save_checkpoint(tmp_path / str(number), late)
    (tmp_path / "9999" / "round-9999").rename(tmp_path / "10000" / "round-9999")
    found, _ = latest_checkpoint(tmp_path / "10000")
    assert found is not None
    assert found.round == 10_000


@pytest.mark.parametrize("room", [16, 200])  # the tensors do not fit, or what is told about them
def test_a_full_disk_leaves_the_rounds_before_untouched(room: int, tmp_path: Path, full_disk) -> None:
    played(tmp_path, [1])
    with full_disk(room), pytest.raises(RunDirectoryError, match=r"round 2 .*File too large"):
        save_checkpoint(tmp_path, after([1, 2]))
    assert [path.name for path in tmp_path.iterdir()] == ["round-0001"]
    assert load_checkpoint(tmp_path / "round-0001").round == 1


def test_nothing_is_pickled(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, after([1], {"momentum": state_of(2)}))
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".json", ".safetensors"}
