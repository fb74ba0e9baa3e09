"""The streaming mean is exact: compared with rational arithmetic (fractions), not with another float sum."""

import math
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fedner.errors import FederationError, StateError
from fedner.server.aggregation import MeanAccumulator, Update
from fedner.server.aggregation.mean import CHUNK, fold
from fedner.tensors import State

any_float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
any_weight = st.one_of(
    st.integers(1, 2**28).map(float), st.floats(1e-3, 1e6, allow_nan=False), st.sampled_from([0.1, 1 / 3, 2.0**53])
)


@st.composite
def weighted_values(draw: st.DrawFn) -> list[tuple[float, float]]:
    """One number per site with its weight; magnitudes from the smallest subnormal to the largest float32."""
    return draw(st.lists(st.tuples(any_float32, any_weight), min_size=1, max_size=8))


def updates_of(pairs: list[tuple[float, float]]) -> list[Update]:
    return [
        Update(f"site-{index}", {"w": np.array([value], dtype=np.float32)}, weight)
        for index, (value, weight) in enumerate(pairs)
    ]


def float64_mean(updates: list[Update]) -> NDArray[np.float64]:
    like: State = {"w": np.zeros(updates[0].arrays["w"].shape, dtype=np.float32)}
    return np.concatenate([values for _, values in fold(like, updates).mean_chunks("w")])


@settings(max_examples=300)
@given(pairs=weighted_values())
def test_the_sum_is_the_exact_one_rounded_once(pairs: list[tuple[float, float]]) -> None:
    # The only rounding before the sum is that of value x weight (none for integer weights below 2**29).
    exact_sum = sum((Fraction(value * weight) for value, weight in pairs), Fraction(0))
    exact_weight = sum((Fraction(weight) for _, weight in pairs), Fraction(0))
    assert float64_mean(updates_of(pairs))[0] == float(exact_sum) / float(exact_weight)


@settings(max_examples=100)
@given(pairs=weighted_values(), data=st.data())
def test_every_order_gives_the_same_bits(pairs: list[tuple[float, float]], data: st.DataObject) -> None:
    updates = updates_of(pairs)
    shuffled = data.draw(st.permutations(updates))
    assert float64_mean(updates).tobytes() == float64_mean(shuffled).tobytes()


def test_what_a_float64_sum_loses_is_kept() -> None:
    values = [1e30, 1.0, -1e30]
    assert sum(values) == 0.0  # a plain sum forgets the 1
    assert float64_mean(updates_of([(float(np.float32(value)), 1.0) for value in values]))[0] == 1 / 3


def test_tensors_longer_than_a_chunk_are_summed_exactly_everywhere() -> None:
    # Three magnitudes, 10**30 apart, at random places: sums that need one, two and three parts side by side.
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(6, 2 * CHUNK + 5)) * 10.0 ** rng.choice([-30, 0, 30], size=(6, 2 * CHUNK + 5))
    states = rows.astype(np.float32)
    updates = [Update(f"site-{index}", {"w": row}, float(index + 1)) for index, row in enumerate(states)]
    exact = [math.fsum((index + 1) * float(row[k]) for index, row in enumerate(states)) for k in range(states.shape[1])]
    np.testing.assert_array_equal(float64_mean(updates), np.array(exact) / 21.0)


def test_the_mean_may_be_read_before_all_have_come() -> None:
    like: State = {"w": np.zeros(1, dtype=np.float32)}
    accumulator = MeanAccumulator(like)
    first, second = updates_of([(1.0, 1.0), (4.0, 2.0)])
    accumulator.add(first)
    assert accumulator.mean()["w"][0] == 1.0
    accumulator.add(second)
    assert accumulator.mean()["w"][0] == 3.0  # (1 + 8) / 3
    assert accumulator.num_updates == 2


def test_shapes_and_order_of_tensors_are_kept() -> None:
    state: State = {
        "b": np.array(2, dtype=np.float32),
        "a": np.ones((2, 3), dtype=np.float32),
        "none": np.zeros((0, 4), "f"),
    }
    mean = fold(state, [Update("x", state, 5.0)]).mean()
    assert [(name, array.shape, array.dtype) for name, array in mean.items()] == [
        ("b", (), np.float32),
        ("a", (2, 3), np.float32),
        ("none", (0, 4), np.float32),
    ]


def test_memory_does_not_grow_with_the_number_of_sites() -> None:
    like: State = {"w": np.zeros(100_000, dtype=np.float32)}

    def arriving(count: int) -> Iterator[Update]:
        for index in range(count):
            rng = np.random.default_rng(index)
            yield Update(f"site-{index}", {"w": rng.normal(size=100_000).astype(np.float32)}, 700.0)

    def peak_bytes(count: int) -> int:
        tracemalloc.start()
        fold(like, arriving(count)).mean()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak_bytes(160) < 1.1 * peak_bytes(40)


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf, 2.0**54])
def test_an_impossible_weight_is_refused_with_the_site(weight: float) -> None:
    with pytest.raises(FederationError, match=r"site-0.*expected a weight from 0 to 2\*\*53"):
        float64_mean(updates_of([(1.0, weight)]))


def test_a_site_without_examples_counts_for_nothing() -> None:
    assert float64_mean(updates_of([(5.0, 0.0), (2.0, 3.0)]))[0] == 2.0


def test_only_zero_weights_are_refused_in_plain_words() -> None:
    with pytest.raises(FederationError, match="all 2 updates weigh 0"):
        float64_mean(updates_of([(5.0, 0.0), (2.0, 0.0)]))


def test_two_updates_of_one_site_are_refused() -> None:
    twice = updates_of([(5.0, 1.0)]) * 2
    with pytest.raises(FederationError, match="'site-0' handed in two updates"):
        float64_mean(twice)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_refused_with_site_and_tensor(bad: float) -> None:
    with pytest.raises(StateError, match=r"site-1.*tensor 'w' holds a value that is not finite"):
        float64_mean(updates_of([(1.0, 1.0), (bad, 1.0)]))
