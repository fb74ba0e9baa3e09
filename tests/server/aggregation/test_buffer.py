"""Updates on disk aggregate to the bits they aggregate to in memory, and nothing of them stays."""

import resource
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedner.config import (
    AggregationConfig,
    BulyanAggregation,
    KrumAggregation,
    MedianAggregation,
    TrimmedMeanAggregation,
)
from fedner.errors import FederationError, RunDirectoryError, StateError
from fedner.server.aggregation import Spill, Update, init, step
from fedner.server.aggregation.buffer import WINDOW, keep
from fedner.server.aggregation.mean import CHUNK
from fedner.tensors import State, digest

ROBUST = [
    pytest.param(MedianAggregation(), id="median"),
    pytest.param(TrimmedMeanAggregation(trim=0.3), id="trimmed_mean"),
    pytest.param(KrumAggregation(malicious=1), id="krum"),
    pytest.param(KrumAggregation(malicious=1, select=3), id="multi-krum"),
    pytest.param(BulyanAggregation(malicious=1), id="bulyan"),
]
SHAPES = {"encoder.weight": (2, 2 * CHUNK + 3), "scale": (), "classifier.bias": (5,)}
UPDATE_BYTES = 4 * (2 * (2 * CHUNK + 3) + 1 + 5)


def random_updates(seed: int, count: int = 7) -> list[Update]:
    rng = np.random.default_rng(seed)
    return [
        Update(f"site {index}/ö", {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()},
               float(rng.integers(1, 1000)))
        for index in range(count)
    ]  # fmt: skip


def aggregate(config: AggregationConfig, updates: list[Update], spill: Spill | None = None) -> State:
    before: State = {name: np.zeros(shape, dtype=np.float32) for name, shape in SHAPES.items()}
    return step(config, init(config, before), before, updates, spill=spill)[1]


@pytest.mark.parametrize("config", ROBUST)
@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1), in_memory=st.integers(0, 7), data=st.data())
def test_on_disk_and_in_any_order_the_bits_are_those_in_memory(
    config: AggregationConfig, seed: int, in_memory: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    updates = random_updates(seed)
    shuffled = data.draw(st.permutations(updates))
    spill = Spill(tmp_path_factory.mktemp("run") / "replies", in_memory * UPDATE_BYTES)
    assert digest(aggregate(config, shuffled, spill)) == digest(aggregate(config, updates))


def test_tensors_longer_than_a_window_come_back_chunk_by_chunk_as_they_were(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3, WINDOW + CHUNK + 1)).astype(np.float32)
    updates = [Update(f"site-{index}", {"w": row}, 1.0) for index, row in enumerate(rows)]
    with keep({"w": rows[0]}, updates[::-1], Spill(tmp_path / "replies", rows[0].nbytes)) as kept:
        found = list(kept.chunks("w"))
        chosen = np.concatenate([values for _, values in kept.chunks("w", [0, 2])], axis=1)
        assert digest(kept.update(1).arrays) == digest(updates[1].arrays)
    np.testing.assert_array_equal(np.concatenate([values for _, values in found], axis=1), rows)
    np.testing.assert_array_equal(chosen, rows[[0, 2]])
    assert [part.start for part, _ in found] == list(range(0, WINDOW + CHUNK + 1, CHUNK))


def test_a_slice_of_another_array_is_written_as_what_it_is(tmp_path: Path) -> None:
    # Every second number: neither side by side in memory nor, read that way, the same numbers.
    values = np.arange(10, dtype=np.float32)
    updates = [Update(f"site-{index}", {"w": values[index::2]}, 1.0) for index in range(2)]
    with keep({"w": values[:5]}, updates, Spill(tmp_path / "replies", 0)) as kept:
        ((_, found),) = kept.chunks("w")
    np.testing.assert_array_equal(found, [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]])


def test_only_what_goes_past_the_limit_is_on_disk_for_the_owner_alone_and_only_meanwhile(tmp_path: Path) -> None:
    updates = random_updates(0)
    folder = tmp_path / "replies"
    with keep(updates[0].arrays, updates, Spill(folder, 3 * UPDATE_BYTES)):
        assert len(list(folder.iterdir())) == 4
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
    with keep(updates[0].arrays, updates, Spill(folder, 7 * UPDATE_BYTES)):
        assert not folder.exists()


@pytest.mark.parametrize("config", ROBUST)
def test_nothing_stays_on_disk_after_a_failure(config: AggregationConfig, tmp_path: Path) -> None:
    updates = random_updates(0)
    spill = Spill(tmp_path / "replies", 0)

    def breaking_off(after: int, error: BaseException) -> Iterator[Update]:
        yield from updates[:after]
        assert len(list(spill.folder.iterdir())) == after
        raise error

    for error in (KeyboardInterrupt(), FederationError("no quorum")):
        with pytest.raises(type(error)):
            aggregate(config, breaking_off(4, error), spill)  # type: ignore[arg-type]
        assert list(tmp_path.iterdir()) == []
    wrong = Update("other", updates[0].arrays | {"classifier.bias": np.zeros(9, dtype=np.float32)}, 1.0)
    with pytest.raises(StateError, match="site 'other'"):
        aggregate(config, [*updates, wrong], spill)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_with_place_size_and_remedy(tmp_path: Path) -> None:
    # The system refuses files longer than that, with an error of the same kind as that of a full disk.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(
            RunDirectoryError, match=r"replies: cannot write 262,192 bytes.*'site 0/ö'.*spill_bytes.*resume"
        ):
            aggregate(MedianAggregation(), random_updates(0), Spill(tmp_path / "replies", 0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("config", [MedianAggregation(), KrumAggregation(malicious=1, select=3)])
def test_memory_does_not_grow_by_an_update_for_every_site(config: AggregationConfig, tmp_path: Path) -> None:
    size = 8 * WINDOW  # 8 MiB an update; a window of each is 1 MiB

    def arriving(count: int) -> Iterator[Update]:
        rng = np.random.default_rng(0)
        for site in range(count):
            yield Update(f"site-{site}", {"w": rng.standard_normal(size, dtype=np.float32)}, 1.0)

    def peak(count: int) -> int:
        before: State = {"w": np.zeros(size, dtype=np.float32)}
        tracemalloc.start()
        step(config, init(config, before), before, arriving(count), spill=Spill(tmp_path / "replies", 0))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    # Seven sites more: in memory 56 MiB; on disk a window and a few chunks of each, within 14 MiB.
    assert peak(12) - peak(5) < 14 * 2**20
