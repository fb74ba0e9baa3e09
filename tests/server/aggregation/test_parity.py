"""Parity with flwr's own strategies, run through their public path on real Messages over several rounds.

flwr computes in the dtype it is handed, so it is handed the same values as float64: what remains between the two is our
rounding to float32, once a round. Where we follow a paper instead of flwr, the difference is divided out in the open.
"""

from collections.abc import Callable

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import (
    Bulyan,
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedMedian,
    FedTrimmedAvg,
    FedYogi,
    Krum,
    MultiKrum,
)
from flwr.serverapp.strategy.multikrum import select_multikrum
from scripted_grid import ScriptedGrid

from fedner.config import (
    AggregationConfig,
    BulyanAggregation,
    FedAdagradAggregation,
    FedAdamAggregation,
    FedAvgAggregation,
    FedAvgMAggregation,
    FedYogiAggregation,
    KrumAggregation,
    MedianAggregation,
    TrimmedMeanAggregation,
)
from fedner.server.aggregation import Update, init, step
from fedner.tensors import State

ROUNDS = 4
SHAPES = {"encoder.weight": (40, 7), "encoder.bias": (7,), "classifier.weight": (5, 7)}
SEEDS = [0, 1, 2]


def random_state(rng: np.random.Generator, scale: float) -> State:
    return {name: rng.normal(0, scale, shape).astype(np.float32) for name, shape in SHAPES.items()}


def random_rounds(seed: int, sites: int, equal_weights: bool = False) -> tuple[State, list[list[Update]]]:
    """Return an initial state and, for every round, the updates of all sites, wandering off as in training."""
    rng = np.random.default_rng(seed)
    initial = random_state(rng, 1.0)
    rounds: list[list[Update]] = []
    for number in range(1, ROUNDS + 1):
        updates: list[Update] = []
        for site in range(sites):
            noise = random_state(rng, 0.3 * number)
            weight = 1.0 if equal_weights else float(rng.integers(1, 2000))
            updates.append(Update(f"site-{site:02}", {name: initial[name] + noise[name] for name in initial}, weight))
        rounds.append(updates)
    return initial, rounds


def to_record(state: State) -> ArrayRecord:
    return ArrayRecord({name: Array(array.astype(np.float64)) for name, array in state.items()})


def run_flwr(
    strategy: FedAvg,
    initial: State,
    rounds: list[list[Update]],
    before_round: Callable[[int], None] = lambda number: None,
) -> list[dict[str, np.ndarray]]:
    """Return the global state after each round, as flwr's strategy computes it."""
    arrays, results = to_record(initial), list[dict[str, np.ndarray]]()
    for number, updates in enumerate(rounds, start=1):
        before_round(number)
        nodes = ScriptedGrid(lambda requests: [], range(1, len(updates) + 1))
        messages = strategy.configure_train(number, arrays, ConfigRecord(), nodes)
        replies = [
            Message(
                RecordDict(
                    {
                        "arrays": to_record(update.arrays),
                        "metrics": MetricRecord({"num-examples": update.weight}),
                    }
                ),
                reply_to=message,
            )
            for message, update in zip(messages, updates, strict=True)
        ]
        aggregated, _ = strategy.aggregate_train(number, replies)
        assert aggregated is not None
        arrays = aggregated
        results.append({name: array.numpy() for name, array in arrays.items()})
    return results


def assert_equal_to_ours(
    theirs: list[dict[str, np.ndarray]], config: AggregationConfig, initial: State, rounds: list[list[Update]]
) -> None:
    arrays, state = initial, init(config, initial)
    for expected, updates in zip(theirs, rounds, strict=True):
        state, arrays = step(config, state, arrays, updates)
        assert list(arrays) == list(expected)
        for name, array in arrays.items():
            np.testing.assert_allclose(array, expected[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_fedavg(seed: int) -> None:
    initial, rounds = random_rounds(seed, sites=5)
    assert_equal_to_ours(run_flwr(FedAvg(), initial, rounds), FedAvgAggregation(), initial, rounds)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("lr", "momentum"), [(1.0, 0.9), (0.7, 0.5), (0.7, 0.0), (1.0, 0.0)])
def test_fedavgm(seed: int, lr: float, momentum: float) -> None:
    initial, rounds = random_rounds(seed, sites=4)
    theirs = run_flwr(FedAvgM(server_learning_rate=lr, server_momentum=momentum), initial, rounds)
    assert_equal_to_ours(theirs, FedAvgMAggregation(server_lr=lr, momentum=momentum), initial, rounds)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.99), (0.0, 0.9)])
def test_fedadam_but_for_flwrs_bias_correction(seed: int, beta1: float, beta2: float) -> None:
    initial, rounds = random_rounds(seed, sites=4)
    strategy = FedAdam(eta=0.1, beta_1=beta1, beta_2=beta2, tau=1e-2)

    def divide_the_correction_out(number: int) -> None:
        strategy.eta = 0.1 * (1 - beta1 ** (number + 1)) / np.sqrt(1 - beta2 ** (number + 1))

    theirs = run_flwr(strategy, initial, rounds, divide_the_correction_out)
    config = FedAdamAggregation(server_lr=0.1, beta1=beta1, beta2=beta2, tau=1e-2)
    assert_equal_to_ours(theirs, config, initial, rounds)


@pytest.mark.parametrize("seed", SEEDS)
def test_fedyogi(seed: int) -> None:
    initial, rounds = random_rounds(seed, sites=4)
    theirs = run_flwr(FedYogi(eta=0.1, beta_1=0.9, beta_2=0.99, tau=1e-2), initial, rounds)
    config = FedYogiAggregation(server_lr=0.1, beta1=0.9, beta2=0.99, tau=1e-2)
    assert_equal_to_ours(theirs, config, initial, rounds)


@pytest.mark.parametrize("seed", SEEDS)
def test_fedadagrad_whose_beta1_is_0_in_flwr(seed: int) -> None:
    initial, rounds = random_rounds(seed, sites=4)
    theirs = run_flwr(FedAdagrad(eta=0.1, tau=1e-2), initial, rounds)
    assert_equal_to_ours(theirs, FedAdagradAggregation(server_lr=0.1, beta1=0.0, tau=1e-2), initial, rounds)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sites", [2, 3, 6, 7])
def test_median(seed: int, sites: int) -> None:
    initial, rounds = random_rounds(seed, sites)
    assert_equal_to_ours(run_flwr(FedMedian(), initial, rounds), MedianAggregation(), initial, rounds)


@pytest.mark.parametrize("trim", [0.0, 0.1, 0.2, 0.34, 0.49])
@pytest.mark.parametrize("sites", [2, 5, 10])
def test_trimmed_mean(sites: int, trim: float) -> None:
    initial, rounds = random_rounds(3, sites)
    assert_equal_to_ours(
        run_flwr(FedTrimmedAvg(beta=trim), initial, rounds), TrimmedMeanAggregation(trim=trim), initial, rounds
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("sites", "malicious"), [(5, 1), (8, 2), (9, 0)])
def test_krum(seed: int, sites: int, malicious: int) -> None:
    initial, rounds = random_rounds(seed, sites)
    theirs = run_flwr(Krum(num_malicious_nodes=malicious), initial, rounds)
    assert_equal_to_ours(theirs, KrumAggregation(malicious=malicious), initial, rounds)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("sites", "malicious", "select"), [(5, 1, 2), (8, 2, 5)])
def test_multi_krum_with_equal_weights(seed: int, sites: int, malicious: int, select: int) -> None:
    initial, rounds = random_rounds(seed, sites, equal_weights=True)
    theirs = run_flwr(MultiKrum(num_malicious_nodes=malicious, num_nodes_to_select=select), initial, rounds)
    assert_equal_to_ours(theirs, KrumAggregation(malicious=malicious, select=select), initial, rounds)


def repeated_krum(contents: list[RecordDict], malicious: int, wanted: int) -> list[RecordDict]:
    """The paper's selection stage of Bulyan, written out in loops over flwr's own records."""
    flat = [
        np.concatenate([array.numpy().ravel() for array in record.array_records["arrays"].values()])
        for record in contents
    ]
    left, chosen = list(range(len(contents))), list[int]()
    while len(chosen) < wanted:
        scores: dict[int, float] = {}
        for i in left:
            distances = sorted(float(((flat[i] - flat[j]) ** 2).sum()) for j in left if j != i)
            scores[i] = sum(distances[: max(1, len(left) - malicious - 2)])
        best = min(left, key=lambda i: scores[i])
        left.remove(best)
        chosen.append(best)
    return [contents[i] for i in chosen]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("sites", "malicious"), [(7, 1), (8, 1), (12, 2), (5, 0)])
def test_bulyan_with_the_papers_selection_in_flwrs_slot_for_it(seed: int, sites: int, malicious: int) -> None:
    # One round: Bulyan remembers nothing, and flwr collects garbage once per update, which takes a while.
    initial, rounds = random_rounds(seed, sites)
    theirs = run_flwr(Bulyan(num_malicious_nodes=malicious, selection_rule=repeated_krum), initial, rounds[:1])
    assert_equal_to_ours(theirs, BulyanAggregation(malicious=malicious), initial, rounds[:1])


def test_bulyan_with_flwrs_own_selection_where_both_select_the_same() -> None:
    agreements = 0
    for seed in range(12):
        initial, rounds = random_rounds(seed, sites=7)
        contents = [RecordDict({"arrays": to_record(update.arrays)}) for update in rounds[0]]
        paper = {id(content) for content in repeated_krum(contents, 1, 5)}
        if paper == {id(content) for content in select_multikrum(contents, 1, 5)}:
            agreements += 1
            theirs = run_flwr(Bulyan(num_malicious_nodes=1), initial, rounds[:1])
            assert_equal_to_ours(theirs, BulyanAggregation(malicious=1), initial, rounds[:1])
    assert agreements > 0
