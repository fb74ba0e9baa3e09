"""The local loop against hand-computed steps, torch's own AdamW on the whole model, and itself when interrupted."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from fedner.config import OptimizerState, Precision, Schedule, TrainingConfig, Windowing
from fedner.data.corpus import Document
from fedner.data.encoding import Encoded, encode
from fedner.errors import ConfigError, RunError
from fedner.learning.batches import collate
from fedner.learning.device import computes_bf16
from fedner.learning.tagger.model import Tagger
from fedner.learning.tagger.tensors import get_state, set_state
from fedner.learning.training.fitting import FitResult, fit
from fedner.learning.training.memory import TrainingMemory
from fedner.learning.training.sampling import training_order
from fedner.learning.training.schedule import in_round, learning_rate
from fedner.tensors import State, digest

CPU = torch.device("cpu")


@pytest.fixture
def start(tagger: Tagger) -> State:
    return get_state(tagger.model)


@pytest.fixture(autouse=True)
def untouched_globals() -> Iterator[None]:
    """No test here may change the process's generators or thread count."""
    torch.manual_seed(5)
    numbers, threads = torch.get_rng_state(), torch.get_num_threads()
    yield
    assert torch.equal(numbers, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def run(
    tagger: Tagger,
    encoded: Encoded,
    config: TrainingConfig,
    start: State,
    *,
    rounds: int = 1,
    seed: int = 0,
    memory: TrainingMemory | None = None,
    first_round: int = 1,
) -> list[FitResult]:
    """Train rounds `first_round` to `rounds` from a state."""
    set_state(tagger.model, start)
    results: list[FitResult] = []
    for number in range(first_round, rounds + 1):
        results.append(
            fit(tagger, encoded, in_round(config, seed=seed, site="a", number=number, rounds=rounds), memory=memory)
        )
        memory = results[-1].memory
    return results


def without_dropout(tagger: Tagger) -> Tagger:
    for module in tagger.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return tagger


def average_words(encoded: Encoded, windows: np.ndarray) -> float:
    return len(windows) * encoded.num_words / encoded.num_windows


def joined_gradient(tagger: Tagger, encoded: Encoded, windows: np.ndarray) -> dict[str, torch.Tensor]:
    """Return the gradient of the loss over the words of some windows, by the model's own loss.

    The model's is a mean over their own words; ours is over the words that so many windows have on average.
    """
    model = copy.deepcopy(tagger.model).eval()
    batch = collate(encoded, windows, CPU)
    labels = torch.full_like(batch.input_ids, -100).flatten()
    labels[batch.positions] = batch.targets
    mask = None if batch.mask is None else batch.mask.long()
    loss = model(input_ids=batch.input_ids, attention_mask=mask, labels=labels.view(batch.input_ids.shape)).loss
    (loss * len(batch.targets) / average_words(encoded, windows)).backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State
) -> None:
    digests = []
    for seed in (0, 0, 1):
        run(tagger, encoded, config, start, rounds=2, seed=seed)
        digests.append(digest(get_state(tagger.model)))
    assert digests[0] == digests[1] != digests[2]


def test_the_same_bytes_also_with_two_threads(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State
) -> None:
    digests = set()
    for _ in range(2):
        run(tagger, encoded, replace(config, threads=2), start)
        digests.add(digest(get_state(tagger.model)))
    assert len(digests) == 1


def test_training_lowers_the_loss_and_leaves_the_model_in_evaluation_mode(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State
) -> None:
    results = run(tagger, encoded, config, start, rounds=4)
    losses = [result.loss_sum / result.num_words for result in results]
    assert losses[-1] < 0.7 * losses[0]
    assert not tagger.model.training


def test_sums_count_each_sentence_and_word_of_the_shard_once(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State, documents: tuple[Document, ...]
) -> None:
    (result,) = run(tagger, encoded, config, start)
    assert encoded.stats.cut_sentences > 0
    assert result.num_examples == sum(len(document.sentences) for document in documents)
    assert result.num_words == sum(len(s.words) for document in documents for s in document.sentences)
    assert result.num_pieces == len(encoded.input_ids)
    assert result.steps == math.ceil(encoded.num_windows / config.batch_size)


@pytest.mark.parametrize("state", list(OptimizerState))
def test_resuming_from_memory_equals_no_interruption(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State, state: OptimizerState
) -> None:
    config = replace(config, optimizer_state=state, epochs=0.7)
    whole = run(tagger, encoded, config, start, rounds=4)
    wanted = digest(get_state(tagger.model))
    half = run(tagger, encoded, config, start, rounds=4)[:2]  # rounds 1 and 2 of 4, then the process dies
    set_state(tagger.model, start)
    for number in (1, 2):
        memory = half[number - 2].memory if number == 2 else None
        fit(tagger, encoded, in_round(config, seed=0, site="a", number=number, rounds=4), memory=memory)
    middle = get_state(tagger.model)
    arrays = {name: array.copy() for name, array in half[1].memory.to_arrays().items()}
    rest = run(tagger, encoded, config, middle, rounds=4, first_round=3, memory=TrainingMemory.from_arrays(arrays))
    assert digest(get_state(tagger.model)) == wanted
    assert rest[-1].memory.position == whole[-1].memory.position


def test_a_memory_is_not_changed_by_training_from_it(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State
) -> None:
    config = replace(config, optimizer_state=OptimizerState.keep)
    (first,) = run(tagger, encoded, config, start)
    before = digest(first.memory.moments)
    run(tagger, encoded, config, start, memory=first.memory)
    assert digest(first.memory.moments) == before


def test_keeping_the_optimizer_differs_from_resetting_it_in_the_second_round(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State
) -> None:
    finals = []
    for state in OptimizerState:
        results = run(tagger, encoded, replace(config, optimizer_state=state), start, rounds=2)
        finals.append(digest(get_state(tagger.model)))
        assert bool(results[-1].memory.moments) == (state == OptimizerState.keep)
    assert finals[0] != finals[1]


def test_fractions_of_an_epoch_add_up_and_the_stream_goes_on(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State
) -> None:
    config = replace(config, batch_size=6)
    per_epoch = math.ceil(encoded.num_windows / config.batch_size)
    assert per_epoch % 2  # so that half an epoch is no whole number of batches
    results = run(tagger, encoded, replace(config, epochs=0.5), start, rounds=4)
    assert sum(result.steps for result in results) == 2 * per_epoch
    assert sum(result.num_words for result in results) == 2 * encoded.num_words
    assert results[0].num_words + results[1].num_words == encoded.num_words


def test_a_budget_of_steps_is_kept(tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State) -> None:
    config = replace(config, steps=3, gradient_accumulation=2)
    results = run(tagger, encoded, config, start, rounds=2)
    assert [result.steps for result in results] == [3, 3]
    assert results[-1].memory.position == 12


def test_an_accumulated_step_equals_the_step_of_the_joined_batch(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State
) -> None:
    """One Adam step from zero moments is lr * g / (|g| + epsilon): a large epsilon makes it lr / epsilon * g."""
    without_dropout(tagger)
    config = replace(
        config,
        steps=1,
        gradient_accumulation=3,
        max_grad_norm=None,
        weight_decay=0.0,
        epsilon=1e4,
        lr=1e4,
        warmup=0.0,
        schedule=Schedule.constant,
        precision=Precision.fp32,
    )
    set_state(tagger.model, start)
    windows = np.concatenate(training_order(encoded, config.batch_size, 0, 0, "a")[:3])
    gradient = joined_gradient(tagger, encoded, windows)
    run(tagger, encoded, config, start)
    after = get_state(tagger.model)
    for name, before in start.items():
        g = gradient[name].numpy()
        np.testing.assert_allclose(before - after[name], g / (1 + np.abs(g) / 1e4), rtol=2e-3, atol=2e-6)


def test_clipping_limits_the_norm_of_the_joined_gradient(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State
) -> None:
    without_dropout(tagger)
    config = replace(
        config,
        steps=1,
        max_grad_norm=0.01,
        weight_decay=0.0,
        epsilon=1e4,
        lr=1e4,
        warmup=0.0,
        schedule=Schedule.constant,
        precision=Precision.fp32,
    )
    run(tagger, encoded, config, start)
    after = get_state(tagger.model)
    norm = math.sqrt(sum(float(((start[name] - after[name]).astype(np.float64) ** 2).sum()) for name in start))
    assert norm == pytest.approx(0.01, rel=1e-2)


@pytest.mark.parametrize(("mu", "decay"), [(0.0, 0.1), (0.5, 0.1), (0.5, 0.0), (0.0, 0.0)])
def test_two_rounds_equal_plain_adamw_over_all_rows_with_the_proximal_term_in_the_loss(
    tagger: Tagger,
    encoded: Encoded,
    config: TrainingConfig,
    start: State,
    plain_adamw: Callable[..., State],
    mu: float,
    decay: float,
) -> None:
    without_dropout(tagger)
    config = replace(
        config,
        prox_mu=mu,
        weight_decay=decay,
        precision=Precision.fp32,
        optimizer_state=OptimizerState.keep,
        epsilon=1e-4,
    )
    wanted = plain_adamw(tagger, encoded, config, start, 2, mu)
    run(tagger, encoded, config, start, rounds=2)
    found = get_state(tagger.model)
    assert max(np.abs(start[name] - wanted[name]).max() for name in start) > 1e-3
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, atol=2e-5, err_msg=name)


def test_the_proximal_term_adds_mu_times_the_distance(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State
) -> None:
    """In the first step the distance is 0; a huge mu then holds the weights nearer to where they were."""
    finals = {}
    for mu in (0.0, 100.0):
        run(tagger, encoded, replace(config, prox_mu=mu, weight_decay=0.0), start, rounds=1)
        after = get_state(tagger.model)
        finals[mu] = math.sqrt(sum(float(((start[name] - after[name]) ** 2).sum()) for name in start))
    assert finals[100.0] < 0.8 * finals[0.0]


def test_no_proximal_term_is_the_same_computation_bit_for_bit(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State
) -> None:
    config = replace(config, weight_decay=0.0, steps=1)  # at the first step the distance is 0, so any mu adds 0
    digests = set()
    for mu in (0.0, 7.0):
        run(tagger, encoded, replace(config, prox_mu=mu), start)
        digests.add(digest(get_state(tagger.model)))
    assert len(digests) == 1


def test_the_learning_rate_rises_and_falls_once_over_the_whole_run() -> None:
    config = TrainingConfig(lr=1.0, warmup=0.2)
    rates = [learning_rate(config, progress) for progress in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert rates == pytest.approx([0, 0.5, 1, 0.5, 0])
    constant = replace(config, schedule=Schedule.constant)
    assert [learning_rate(constant, progress) for progress in (0.1, 0.2, 1.0)] == pytest.approx([0.5, 1, 1])
    assert learning_rate(replace(config, warmup=0.0), 0.0) == 1.0


def test_frozen_parameters_stay_as_they_are(tagger: Tagger, encoded: Encoded, config: TrainingConfig) -> None:
    for name, parameter in tagger.model.named_parameters():
        parameter.requires_grad_(not name.startswith("bert.embeddings"))
    before = tagger.model.get_input_embeddings().weight.detach().clone()
    fit(tagger, encoded, in_round(config, seed=0, site="a", number=1, rounds=1))
    assert torch.equal(before, tagger.model.get_input_embeddings().weight)


def test_progress_is_reported_after_each_step(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State
) -> None:
    reported: list[tuple[int, int]] = []
    fit(
        tagger,
        encoded,
        in_round(replace(config, steps=3), seed=0, site="a", number=1, rounds=1),
        on_step=lambda done, steps: reported.append((done, steps)),
    )
    assert reported == [(1, 3), (2, 3), (3, 3)]


def test_bf16_is_taken_on_its_own_only_where_it_is_native(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State
) -> None:
    native = Precision.bf16 if computes_bf16(CPU) else Precision.fp32
    digests = []
    for precision in (Precision.auto, native):
        run(tagger, encoded, replace(config, precision=precision), start)
        digests.append(digest(get_state(tagger.model)))
    assert digests[0] == digests[1]


def test_bf16_trains_as_fp32_does(tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State) -> None:
    losses = []
    for precision in (Precision.fp32, Precision.bf16):
        results = run(tagger, encoded, replace(config, precision=precision), start, rounds=3)
        losses.append(results[-1].loss_sum / results[-1].num_words)
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


@pytest.fixture
def fp16_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the CPU do what is refused there for want of speed, not of loss scaling."""
    for module in ("training.fitting", "inference"):
        monkeypatch.setattr(f"fedner.learning.{module}.resolve_precision", lambda precision, device: precision)


def test_fp16_with_scaled_losses_trains_as_fp32_does(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State, fp16_here: None
) -> None:
    losses = []
    for precision in (Precision.fp32, Precision.fp16):
        results = run(tagger, encoded, replace(config, precision=precision), start, rounds=3)
        losses.append(results[-1].loss_sum / results[-1].num_words)
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_a_step_whose_scaled_gradient_overflows_changes_nothing(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State, fp16_here: None
) -> None:
    # The sum of a hundred words' gradients, each scaled by 65,536 and multiplied by 1,000, is beyond what fp16 holds.
    name = "bert.encoder.layer.1.output.LayerNorm.weight"
    start = {**start, name: start[name] * np.float32(1000)}
    config = replace(config, precision=Precision.fp16, steps=1, optimizer_state=OptimizerState.keep, weight_decay=0.1)
    (result,) = run(tagger, encoded, config, start)
    assert digest(get_state(tagger.model)) == digest(start)
    assert not any(array.any() for array in result.memory.moments.values())


@pytest.mark.parametrize(
    ("key", "value"), [("precision", Precision.fp16), ("device", "cuda:77"), ("device", "toaster")]
)
def test_a_device_or_precision_that_is_not_here_is_refused(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, key: str, value: str
) -> None:
    with pytest.raises(ConfigError, match=rf"training\.{key}"):
        fit(tagger, encoded, in_round(replace(config, **{key: value}), seed=0, site="a", number=1, rounds=1))


def test_a_loss_that_is_not_finite_ends_the_run_with_site_and_round_and_no_text(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State
) -> None:
    set_state(tagger.model, {name: array * np.float32("nan") for name, array in start.items()})
    with pytest.raises(RunError, match="site 'a' is not finite in round 3"):
        fit(tagger, encoded, in_round(config, seed=0, site="a", number=3, rounds=3))
    assert tagger.model.get_input_embeddings().weight.shape == start["bert.embeddings.word_embeddings.weight"].shape


def test_memory_of_another_model_is_refused(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, start: State
) -> None:
    config = replace(config, optimizer_state=OptimizerState.keep)
    (result,) = run(tagger, encoded, config, start)
    moments = dict(result.memory.moments)
    moments["exp_avg/classifier.bias"] = np.zeros(3, np.float32)
    with pytest.raises(RunError, match=r"'classifier.bias' expected shape \[5\], got \[3\]"):
        run(tagger, encoded, config, start, memory=replace(result.memory, moments=moments))


def test_a_site_without_sentences_cannot_train(tagger: Tagger, config: TrainingConfig) -> None:
    empty = encode([], tagger.tokenizer, tagger.contract, Windowing(64, 4))
    with pytest.raises(RunError, match="site 'a' has no sentences"):
        fit(tagger, empty, in_round(config, seed=0, site="a", number=1, rounds=1))
