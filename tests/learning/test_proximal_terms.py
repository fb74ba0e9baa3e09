"""Terms against drift: against the same terms in the loss of plain AdamW, and against the papers' own formulas."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fedner.config import OptimizerState, Precision, Schedule, TrainingConfig
from fedner.data.encoding import Encoded
from fedner.errors import ConfigError, RunError
from fedner.learning.tagger.model import Tagger
from fedner.learning.tagger.tensors import get_state, set_state
from fedner.learning.training.fitting import FitResult, fit
from fedner.learning.training.memory import TrainingMemory
from fedner.learning.training.schedule import in_round
from fedner.tensors import State, digest

SGD_LR = 0.5


@pytest.fixture
def exact(config: TrainingConfig) -> TrainingConfig:
    return replace(config, precision=Precision.fp32, epsilon=1e-4, lr=3e-4)


@pytest.fixture
def sgd(exact: TrainingConfig) -> TrainingConfig:
    """AdamW whose steps are SGD's to three digits: without momentum, and with an epsilon far above any gradient."""
    return replace(
        exact, beta1=0.0, epsilon=1e4, lr=SGD_LR * 1e4, weight_decay=0.0, warmup=0.0, schedule=Schedule.constant,
        max_grad_norm=None, steps=5,
    )  # fmt: skip


@pytest.fixture
def start(tagger: Tagger) -> State:
    tagger.model.config.hidden_dropout_prob = 0.0
    for module in tagger.model.modules():
        if type(module).__name__ == "Dropout":
            module.p = 0.0
    return get_state(tagger.model)


def noise(like: State, scale: float, seed: int) -> State:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0, scale, array.shape).astype(np.float32) for name, array in like.items()}


def train(
    tagger: Tagger,
    encoded: Encoded,
    config: TrainingConfig,
    start: State,
    memory: TrainingMemory | None = None,
    control: State | None = None,
) -> FitResult:
    set_state(tagger.model, start)
    task = in_round(config, seed=0, site="a", number=1, rounds=1, control=control)
    return fit(tagger, encoded, task, memory=memory)


def test_scaffold_trains_as_if_the_difference_of_control_variates_were_in_the_loss(
    tagger: Tagger, encoded: Encoded, exact: TrainingConfig, start: State, plain_adamw: Callable[..., State]
) -> None:
    exact = replace(exact, max_grad_norm=None)  # the loss that the oracle clips by is another
    own, server = noise(start, 0.01, 1), noise(start, 0.01, 2)
    wanted = plain_adamw(tagger, encoded, exact, start, 1, linear={name: server[name] - own[name] for name in start})
    memory = TrainingMemory(control={f"control/{name}": array for name, array in own.items()})
    train(tagger, encoded, replace(exact, scaffold=True), start, memory, server)
    found = get_state(tagger.model)
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, atol=2e-5, err_msg=name)


def test_feddyn_trains_as_if_its_regularizer_were_in_the_loss(
    tagger: Tagger, encoded: Encoded, exact: TrainingConfig, start: State, plain_adamw: Callable[..., State]
) -> None:
    own = noise(start, 0.01, 1)
    wanted = plain_adamw(tagger, encoded, exact, start, 1, mu=0.5, linear={name: -array for name, array in own.items()})
    memory = TrainingMemory(control={f"control/{name}": array for name, array in own.items()})
    train(tagger, encoded, replace(exact, dyn_alpha=0.5), start, memory)
    found = get_state(tagger.model)
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, atol=2e-5, err_msg=name)


def test_with_sgd_the_control_variate_is_option_two_of_the_paper(
    tagger: Tagger, encoded: Encoded, sgd: TrainingConfig, start: State
) -> None:
    # Karimireddy et al. 2020, algorithm 1, line 12 (ii): c_i+ = c_i - c + (x - y_i) / (K lr)
    own, server = noise(start, 0.01, 1), noise(start, 0.01, 2)
    memory = TrainingMemory(control={f"control/{name}": array for name, array in own.items()})
    result = train(tagger, encoded, replace(sgd, scaffold=True), start, memory, server)
    after = get_state(tagger.model)
    assert result.control_change is not None
    for name in start:
        wanted = own[name] - server[name] + (start[name] - after[name]) / (5 * SGD_LR)
        found = result.memory.control[f"control/{name}"]
        if result.memory.embedding_rows is not None and "word_embeddings" in name:
            wanted = wanted[result.memory.embedding_rows]
        np.testing.assert_allclose(found, wanted, rtol=5e-3, atol=2e-5, err_msg=name)
        np.testing.assert_allclose(
            own[name] + result.control_change[name], _all_rows(found, result, own[name]), atol=1e-6
        )


def test_a_control_variate_is_never_longer_than_gradients_are_clipped_to(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State
) -> None:
    server = {name: np.zeros_like(array) for name, array in start.items()}
    free = train(tagger, encoded, replace(config, scaffold=True, max_grad_norm=None), start, control=server)
    held = train(tagger, encoded, replace(config, scaffold=True, max_grad_norm=0.05), start, control=server)
    lengths = [
        np.sqrt(sum(np.square(array, dtype=np.float64).sum() for array in result.memory.control.values()))
        for result in (free, held)
    ]
    assert lengths[0] > 0.05 * 2  # so that there is something to hold
    assert lengths[1] <= 0.05 * (1 + 1e-5)


def _all_rows(found: np.ndarray, result: FitResult, like: np.ndarray) -> np.ndarray:
    if found.shape == like.shape:
        return found
    spread = np.zeros_like(like)
    spread[result.memory.embedding_rows] = found
    return spread


def test_feddyns_own_gradient_loses_alpha_times_the_way_gone(
    tagger: Tagger, encoded: Encoded, sgd: TrainingConfig, start: State
) -> None:
    # Acar et al. 2021, algorithm 1: grad_i = grad_i - alpha (theta_i - theta); the first round starts from 0.
    result = train(tagger, encoded, replace(sgd, dyn_alpha=0.1), start)
    after = get_state(tagger.model)
    for name in start:
        found = _all_rows(result.memory.control[f"control/{name}"], result, start[name])
        np.testing.assert_allclose(found, -0.1 * (after[name] - start[name]), atol=1e-6, err_msg=name)


def test_a_first_round_of_scaffold_is_training_without_it_bit_for_bit(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State
) -> None:
    zeros = {name: np.zeros_like(array) for name, array in start.items()}
    digests = set()
    for scaffold in (False, True):
        train(tagger, encoded, replace(config, scaffold=scaffold), start, control=zeros if scaffold else None)
        digests.add(digest(get_state(tagger.model)))
    assert len(digests) == 1


@pytest.mark.parametrize("terms", [{"scaffold": True}, {"dyn_alpha": 0.1}, {"optimizer_state": OptimizerState.keep}])
def test_what_is_remembered_survives_being_written_down(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State, terms: dict
) -> None:
    config, server = replace(config, **terms), noise(start, 0.01, 2)
    memory = train(tagger, encoded, config, start, control=server).memory
    again = TrainingMemory.from_arrays(memory.to_arrays())
    ends = []
    for each in (memory, again):
        ends.append(digest(train(tagger, encoded, config, start, each, server).memory.to_arrays()))
        ends.append(digest(get_state(tagger.model)))
    assert ends[:2] == ends[2:]


def test_rows_that_other_sites_use_are_corrected_too(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State
) -> None:
    name = "bert.embeddings.word_embeddings.weight"
    foreign = sorted(set(range(len(start[name]))) - set(encoded.input_ids.tolist()))[-1]
    server = {key: np.zeros_like(array) for key, array in start.items()}
    server[name][foreign] = 1.0
    train(tagger, encoded, replace(config, scaffold=True, weight_decay=0.0), start, control=server)
    moved = get_state(tagger.model)[name] - start[name]
    assert (moved[foreign] < 0).all()  # against the gradient that the federation has there


def test_memory_or_control_of_another_model_is_refused_by_name(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State
) -> None:
    scaffold = replace(config, scaffold=True)
    with pytest.raises(RunError, match="needs the federation's control variate"):
        train(tagger, encoded, scaffold, start)
    with pytest.raises(RunError, match=r"control variate of 'classifier\.bias' is of another model"):
        train(tagger, encoded, scaffold, start, control={**start, "classifier.bias": np.zeros(3, np.float32)})
    foreign = TrainingMemory(control={"control/classifier.bias": np.zeros(3, np.float32)})
    with pytest.raises(RunError, match=r"control of 'bert.* is missing"):
        train(tagger, encoded, scaffold, start, foreign, start)


@pytest.mark.parametrize("terms", [{"scaffold": True}, {"prox_mu": 0.1}])
def test_feddyn_does_not_mix_with_other_terms(terms: dict) -> None:
    with pytest.raises(ConfigError, match=r"training\.dyn_alpha"):
        TrainingConfig(dyn_alpha=0.1, **terms)
