"""Laws that hold for aggregations whatever the numbers, explicit state, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file  # pyright: ignore[reportUnknownVariableType]

from fedner.config import (
    AGGREGATION_CLASSES,
    AggregationConfig,
    BulyanAggregation,
    FedAdamAggregation,
    FedAvgAggregation,
    FedAvgMAggregation,
    KrumAggregation,
    MedianAggregation,
    TrimmedMeanAggregation,
)
from fedner.errors import ConfigError, FederationError, StateError
from fedner.protocol.auxiliary import CONTROL
from fedner.server.aggregation import AggregationState, Update, init, step
from fedner.tensors import State, digest

SHAPES = {"encoder.weight": (3, 2), "classifier.bias": (3,)}
ALL_KINDS = [pytest.param(cls(), id=kind) for kind, cls in AGGREGATION_CLASSES.items()]
MEAN_KINDS = ["fedavg", "fedavgm", "fedadam", "fedyogi", "fedadagrad"]
seeds = st.integers(0, 2**32 - 1)


def random_state(rng: np.random.Generator, scale: float = 1.0) -> State:
    return {name: rng.normal(0, scale, shape).astype(np.float32) for name, shape in SHAPES.items()}


def random_updates(seed: int, count: int = 7) -> list[Update]:
    """`count` updates of very different magnitudes, so that a careless sum would depend on their order."""
    rng = np.random.default_rng(seed)
    return [
        Update(
            f"site-{index}",
            random_state(rng, 10.0 ** rng.integers(-6, 7)),
            float(rng.integers(1, 10_000)),
            steps=int(rng.integers(1, 100)),
            auxiliary={CONTROL: random_state(rng, 10.0 ** rng.integers(-6, 7))},
        )
        for index in range(count)
    ]


def aggregate(config: AggregationConfig, updates: list[Update], seed: int = 0) -> State:
    before = random_state(np.random.default_rng(seed))
    return step(config, init(config, before), before, updates)[1]


def stack(updates: list[Update], name: str) -> np.ndarray:
    return np.stack([update.arrays[name] for update in updates])


@pytest.mark.parametrize("config", ALL_KINDS)
@settings(max_examples=25)
@given(seed=seeds, data=st.data())
def test_the_order_of_updates_is_irrelevant_bit_for_bit(
    config: AggregationConfig, seed: int, data: st.DataObject
) -> None:
    updates = random_updates(seed)
    shuffled = data.draw(st.permutations(updates))
    assert digest(aggregate(config, updates)) == digest(aggregate(config, shuffled))


@settings(max_examples=25)
@given(seed=seeds, data=st.data())
def test_the_order_of_updates_is_irrelevant_to_the_control_variate(seed: int, data: st.DataObject) -> None:
    updates = random_updates(seed)
    before = random_state(np.random.default_rng(0))
    state = init(FedAvgAggregation(), before, scaffold=True)
    shuffled = data.draw(st.permutations(updates))
    found = {digest(step(FedAvgAggregation(), state, before, each)[0].to_arrays()) for each in (updates, shuffled)}
    assert len(found) == 1


def test_an_update_without_a_control_variate_is_refused_by_name_where_there_is_one() -> None:
    before = random_state(np.random.default_rng(0))
    state = init(FedAvgAggregation(), before, scaffold=True)
    with pytest.raises(StateError, match="update of site 'north': expected the change of its control variate"):
        step(FedAvgAggregation(), state, before, [Update("north", before, 1.0)])


@pytest.mark.parametrize("config", ALL_KINDS)
def test_inputs_are_left_as_they_were(config: AggregationConfig) -> None:
    before, updates = random_state(np.random.default_rng(1)), random_updates(1)
    state = init(config, before)
    everything = [before, state.to_arrays(), *(update.arrays for update in updates)]
    digests = [digest(arrays) for arrays in everything]
    step(config, state, before, updates)
    assert [digest(arrays) for arrays in [before, state.to_arrays(), *(u.arrays for u in updates)]] == digests


@pytest.mark.parametrize("kind", ["fedavg", "median", "trimmed_mean", "krum", "bulyan"])
@settings(max_examples=25)
@given(seed=seeds, weights=st.lists(st.integers(1, 2**20), min_size=7, max_size=7))
def test_equal_states_aggregate_to_that_state(kind: str, seed: int, weights: list[int]) -> None:
    common = random_state(np.random.default_rng(seed))
    updates = [Update(f"site-{index}", common, float(weight)) for index, weight in enumerate(weights)]
    assert digest(aggregate(AGGREGATION_CLASSES[kind](), updates)) == digest(common)


@settings(max_examples=50)
@given(seed=seeds, factor=st.integers(2, 5000))
def test_scaling_all_weights_changes_nothing(seed: int, factor: int) -> None:
    updates = random_updates(seed)
    scaled = [Update(update.site, update.arrays, update.weight * factor) for update in updates]
    plain, other = aggregate(FedAvgAggregation(), updates), aggregate(FedAvgAggregation(), scaled)
    for name in SHAPES:
        np.testing.assert_array_max_ulp(plain[name], other[name], maxulp=1)


@settings(max_examples=25)
@given(seed=seeds, exponent=st.integers(-20, 20))
def test_scaling_all_weights_by_a_power_of_two_changes_no_bit(seed: int, exponent: int) -> None:
    updates = random_updates(seed)
    scaled = [Update(update.site, update.arrays, update.weight * 2.0**exponent) for update in updates]
    assert digest(aggregate(FedAvgAggregation(), updates)) == digest(aggregate(FedAvgAggregation(), scaled))


@settings(max_examples=50)
@given(seed=seeds, count=st.integers(1, 9))
def test_a_mean_trimmed_by_nothing_is_the_unweighted_mean(seed: int, count: int) -> None:
    updates = random_updates(seed, count)
    unweighted = [Update(update.site, update.arrays, 1.0) for update in updates]
    trimmed = aggregate(TrimmedMeanAggregation(trim=0.0), updates)
    mean = aggregate(FedAvgAggregation(), unweighted)
    for name in SHAPES:
        largest = float(np.abs(stack(updates, name)).max())
        np.testing.assert_allclose(trimmed[name], mean[name], rtol=1e-7, atol=1e-14 * largest)


@settings(max_examples=50)
@given(seed=seeds, count=st.integers(1, 9))
def test_the_median_lies_between_minimum_and_maximum_and_half_lie_on_either_side(seed: int, count: int) -> None:
    updates = random_updates(seed, count)
    result = aggregate(MedianAggregation(), updates)
    for name in SHAPES:
        values = stack(updates, name)
        assert np.all(values.min(axis=0) <= result[name])
        assert np.all(result[name] <= values.max(axis=0))
        assert np.all(2 * (values < result[name]).sum(axis=0) <= count)
        assert np.all(2 * (values > result[name]).sum(axis=0) <= count)


@settings(max_examples=50)
@given(seed=seeds, count=st.integers(5, 9))
def test_krum_returns_one_of_its_inputs_bit_for_bit(seed: int, count: int) -> None:
    updates = random_updates(seed, count)
    assert digest(aggregate(KrumAggregation(malicious=1), updates)) in {digest(update.arrays) for update in updates}


@pytest.mark.parametrize(
    "config",
    [KrumAggregation(malicious=1), KrumAggregation(malicious=1, select=3), BulyanAggregation(malicious=1)],
    ids=["krum", "multi-krum", "bulyan"],
)
@settings(max_examples=50)
@given(seed=seeds, far=st.floats(1e3, 1e30), outlier=st.integers(0, 6))
def test_a_far_outlier_has_no_say(config: AggregationConfig, seed: int, far: float, outlier: int) -> None:
    rng = np.random.default_rng(seed)
    updates = [Update(f"site-{index}", random_state(rng), 1.0) for index in range(7)]
    bad = {name: array + np.float32(far) for name, array in updates[outlier].arrays.items()}
    honest = [update for index, update in enumerate(updates) if index != outlier]
    result = aggregate(config, [*honest, Update(f"site-{outlier}", bad, 1e9)])
    for name in SHAPES:
        values = stack(honest, name)
        slack = 1e-6 * np.abs(values).max()
        assert np.all(values.min(axis=0) - slack <= result[name])
        assert np.all(result[name] <= values.max(axis=0) + slack)


def test_fedavgm_without_momentum_and_with_lr_1_is_fedavg() -> None:
    updates = random_updates(3)
    plain = aggregate(FedAvgAggregation(), updates)
    momentum = aggregate(FedAvgMAggregation(server_lr=1.0, momentum=0.0), updates)
    for name in SHAPES:
        np.testing.assert_array_max_ulp(plain[name], momentum[name], maxulp=1)


@pytest.mark.parametrize("config", ALL_KINDS)
def test_a_run_resumed_from_a_file_equals_one_without_interruption(config: AggregationConfig, tmp_path: Path) -> None:
    arrays = random_state(np.random.default_rng(5))
    state = init(config, arrays)
    for number in range(3):
        state, arrays = step(config, state, arrays, random_updates(number))

    save_file(state.to_arrays(), tmp_path / "aggregation.safetensors")
    resumed = AggregationState.from_arrays(load_file(tmp_path / "aggregation.safetensors"))
    state, after = step(config, state, arrays, random_updates(3))
    resumed, after_resumed = step(config, resumed, arrays, random_updates(3))

    assert state.round == resumed.round == 4
    assert digest(after) == digest(after_resumed)
    assert digest(state.to_arrays()) == digest(resumed.to_arrays())


def test_init_starts_at_round_0_with_moments_of_zero() -> None:
    arrays = random_state(np.random.default_rng(0))
    state = init(FedAdamAggregation(), arrays)
    assert state.round == 0
    assert list(state.moments) == ["first", "second"]
    assert all(not tensor.any() for moment in state.moments.values() for tensor in moment.values())
    assert init(MedianAggregation(), arrays).moments == {}


def test_flat_names_are_moment_slash_tensor() -> None:
    state = init(FedAvgMAggregation(), random_state(np.random.default_rng(0)))
    assert list(state.to_arrays()) == ["round", "momentum/encoder.weight", "momentum/classifier.bias"]
    assert all(array.dtype == np.float32 for array in state.to_arrays().values())


def test_arrays_that_are_no_aggregation_state_are_refused() -> None:
    with pytest.raises(StateError, match="expected an array 'round'"):
        AggregationState.from_arrays({"first/w": np.zeros(1, dtype=np.float32)})
    with pytest.raises(StateError, match="got 'stray'"):
        AggregationState.from_arrays({"round": np.ones(1, dtype=np.float32), "stray": np.zeros(1, dtype=np.float32)})


@pytest.mark.parametrize("config", ALL_KINDS)
def test_no_update_is_refused(config: AggregationConfig) -> None:
    with pytest.raises(FederationError, match="no update to aggregate"):
        aggregate(config, [])


@pytest.mark.parametrize("config", ALL_KINDS)
def test_two_updates_of_one_site_are_refused(config: AggregationConfig) -> None:
    updates = random_updates(0)
    with pytest.raises(FederationError, match="site 'site-3' handed in two updates"):
        aggregate(config, [*updates, updates[3]])


@pytest.mark.parametrize("config", ALL_KINDS)
def test_an_update_with_foreign_tensors_is_refused_with_site_and_tensor(config: AggregationConfig) -> None:
    updates = random_updates(0)
    wrong = updates[2].arrays | {"classifier.bias": np.zeros(5, dtype=np.float32)}
    with pytest.raises(StateError, match=r"site 'site-2'.*'classifier.bias' expected float32\[3\], got float32\[5\]"):
        aggregate(config, [*updates[:2], Update("site-2", wrong, 1.0), *updates[3:]])


@pytest.mark.parametrize("kind", [*MEAN_KINDS, "median", "trimmed_mean"])
def test_a_single_site_is_enough_where_the_rule_allows_it(kind: str) -> None:
    config = AGGREGATION_CLASSES[kind]()
    update = random_updates(0, 1)[0]
    result = aggregate(config, [update])
    if kind in {"fedavg", "median", "trimmed_mean"}:
        assert digest(result) == digest(update.arrays)


@pytest.mark.parametrize("kind", MEAN_KINDS)
def test_only_zero_weights_are_refused_in_mean_types(kind: str) -> None:
    updates = [Update(update.site, update.arrays, 0.0) for update in random_updates(0)]
    with pytest.raises(FederationError, match="all 7 updates weigh 0"):
        aggregate(AGGREGATION_CLASSES[kind](), updates)


@pytest.mark.parametrize(
    ("config", "count", "wanted"),
    [
        (KrumAggregation(malicious=1), 4, "Krum with malicious=1: expected at least 5 updates, got 4"),
        (KrumAggregation(malicious=0), 1, "Krum with malicious=0: expected at least 3 updates, got 1"),
        (BulyanAggregation(malicious=1), 6, "Bulyan with malicious=1: expected at least 7 updates, got 6"),
        (KrumAggregation(malicious=1, select=5), 5, "at most 4 may be averaged"),
    ],
)
def test_too_few_updates_are_refused_with_the_number_wanted(config: AggregationConfig, count: int, wanted: str) -> None:
    with pytest.raises(FederationError, match=wanted):
        aggregate(config, random_updates(0, count))


def test_a_state_of_another_aggregation_is_refused() -> None:
    before = random_state(np.random.default_rng(0))
    state = init(FedAvgAggregation(), before)
    with pytest.raises(StateError, match=r"fedadam expected the moments \['first', 'second'\], got \[\]"):
        step(FedAdamAggregation(), state, before, random_updates(0))


def test_a_state_of_another_model_is_refused() -> None:
    before = random_state(np.random.default_rng(0))
    state = init(FedAvgMAggregation(), {"other": np.zeros(2, dtype=np.float32)})
    with pytest.raises(StateError, match="moment 'momentum'"):
        step(FedAvgMAggregation(), state, before, random_updates(0))


def test_a_config_without_a_kind_is_refused() -> None:
    before = random_state(np.random.default_rng(0))
    with pytest.raises(ConfigError, match="got AggregationConfig"):
        step(AggregationConfig(), AggregationState(0, {}), before, random_updates(0))
