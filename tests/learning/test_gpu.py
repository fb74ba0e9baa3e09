"""The local loop on a CUDA device, against itself on the CPU; `bash benchmarks/gpu.sh` runs these on a bare machine."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from fedner.config import Precision, TrainingConfig
from fedner.data.encoding import Encoded
from fedner.learning.inference import evaluate, predict_tags
from fedner.learning.tagger.model import Tagger
from fedner.learning.tagger.tensors import get_state
from fedner.learning.training.fitting import FitResult, fit
from fedner.learning.training.schedule import in_round
from fedner.tensors import digest

ON_GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
HALVES = [Precision.bf16, Precision.fp16]


@pytest.fixture(params=[pytest.param("cuda", marks=ON_GPU)])
def on_gpu(config: TrainingConfig, request: pytest.FixtureRequest) -> TrainingConfig:
    return replace(config, device=request.param, precision=Precision.fp32)


def trained(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, rounds: int = 3, seed: int = 0
) -> tuple[Tagger, list[FitResult]]:
    """Train a copy of the tagger for some rounds that keep the moments."""
    tagger, memory, results = copy.deepcopy(tagger), None, []
    for number in range(1, rounds + 1):
        task = in_round(config, seed=seed, site="a", number=number, rounds=rounds)
        results.append(fit(tagger, encoded, task, memory=memory))
        memory = results[-1].memory
    return tagger, results


def mean_losses(results: list[FitResult]) -> list[float]:
    return [result.loss_sum / result.num_words for result in results]


def without_dropout(tagger: Tagger) -> Tagger:
    for module in tagger.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return tagger


def test_what_these_tests_call_is_there_on_a_machine_without_a_gpu(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig
) -> None:
    learned, results = trained(without_dropout(tagger), encoded, config)
    assert mean_losses(results)[-1] < mean_losses(results)[0]
    assert evaluate(learned, encoded, config).num_words == results[0].num_words
    assert len(predict_tags(learned, encoded, config)) == len(list(encoded.sentences()))


def test_training_follows_the_cpu(tagger: Tagger, encoded: Encoded, on_gpu: TrainingConfig) -> None:
    _, there = trained(without_dropout(tagger), encoded, on_gpu)
    _, here = trained(tagger, encoded, replace(on_gpu, device="cpu"))
    assert mean_losses(there) == pytest.approx(mean_losses(here), rel=1e-3)
    assert [one.num_words for one in there] == [one.num_words for one in here]


@pytest.mark.parametrize("precision", HALVES)
def test_half_precision_trains_as_float32_does(
    tagger: Tagger, encoded: Encoded, on_gpu: TrainingConfig, precision: Precision
) -> None:
    _, whole = trained(without_dropout(tagger), encoded, on_gpu)
    half, losses = trained(tagger, encoded, replace(on_gpu, precision=precision))
    assert mean_losses(losses) == pytest.approx(mean_losses(whole), rel=0.05)
    assert all(parameter.dtype == torch.float32 for parameter in half.model.parameters())


def test_auto_takes_bf16_where_the_device_computes_it(tagger: Tagger, encoded: Encoded, on_gpu: TrainingConfig) -> None:
    native = Precision.bf16 if torch.cuda.is_bf16_supported(including_emulation=False) else Precision.fp32
    states = [
        get_state(trained(tagger, encoded, replace(on_gpu, precision=precision), 1)[0].model)
        for precision in (Precision.auto, native)
    ]
    assert digest(states[0]) == digest(states[1])


@pytest.mark.parametrize("precision", [Precision.fp32, *HALVES])
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
    tagger: Tagger, encoded: Encoded, on_gpu: TrainingConfig, precision: Precision
) -> None:
    config = replace(on_gpu, precision=precision)
    digests = [digest(get_state(trained(tagger, encoded, config, seed=seed)[0].model)) for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


def test_the_devices_generator_is_left_as_it_was(tagger: Tagger, encoded: Encoded, on_gpu: TrainingConfig) -> None:
    before = torch.cuda.get_rng_state()
    trained(tagger, encoded, on_gpu, 1)
    assert torch.equal(before, torch.cuda.get_rng_state())


def test_prediction_finds_what_it_finds_on_the_cpu(tagger: Tagger, encoded: Encoded, on_gpu: TrainingConfig) -> None:
    learned, _ = trained(tagger, encoded, on_gpu)
    there, here = (evaluate(learned, encoded, replace(on_gpu, device=device)) for device in ("cuda", "cpu"))
    np.testing.assert_array_equal(there.document_counts, here.document_counts)
    assert there.loss_sum == pytest.approx(here.loss_sum, rel=1e-3)
    assert predict_tags(learned, encoded, on_gpu) == predict_tags(learned, encoded, replace(on_gpu, device="cpu"))


@pytest.mark.parametrize("precision", HALVES)
def test_half_precision_scores_as_float32_does(
    tagger: Tagger, encoded: Encoded, on_gpu: TrainingConfig, precision: Precision
) -> None:
    learned, _ = trained(tagger, encoded, on_gpu)
    whole, half = (evaluate(learned, encoded, replace(on_gpu, precision=p)) for p in (Precision.fp32, precision))
    assert half.loss_sum == pytest.approx(whole.loss_sum, rel=0.02)
