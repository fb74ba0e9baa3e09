"""Sites that share one CUDA device, one after another and side by side."""

from pathlib import Path

import pytest
import torch

from fedner.simulation.running import run_in_process
from fedner.tensors import digest

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_two_processes_share_the_device_and_give_the_bytes_of_one(precision: str, small_config, tmp_path: Path):
    training = {"device": "cuda", "precision": precision, "optimizer_state": "keep"}
    alone = run_in_process(small_config(training=training), tmp_path / "alone")
    shared = run_in_process(small_config(training=training, workers=2), tmp_path / "shared")
    assert digest(shared.best_state) == digest(alone.best_state)
    assert shared.result.test == alone.result.test
    assert alone.result.rounds[-1].train_loss < alone.result.rounds[0].train_loss
