"""The GPU benchmark where there is no GPU: it says so and runs nothing, and its parts run on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_script_says_so_in_one_sentence_and_runs_nothing(tmp_path: Path):
    environment = {**os.environ, "PYTHON": sys.executable, "RESULT": str(tmp_path / "gpu.json")}
    done = subprocess.run(["bash", str(BENCHMARKS / "gpu.sh")], capture_output=True, text=True, env=environment)
    assert done.returncode == 3
    assert done.stdout == f"no CUDA device that PyTorch can use with {sys.executable}: nothing was run\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_benchmark_compares_both_sides_on_a_cpu_too(tmp_path: Path):
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), "--device", "cpu", "--size", "tiny", "--windows", "8"]
    command += ["--lengths", "32", "--precisions", "bf16", "--repeats", "1", "--output", str(tmp_path / "gpu.json")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-4].startswith("| length | precision | side | tokens/s |")
    (leg,) = json.loads((tmp_path / "gpu.json").read_text())["legs"]
    # 8 windows of 3 to 32 pieces; 6 operations for each weight of two layers of 32 x 32 x 4 + 2 x 32 x 64, and more.
    assert 8 * 3 <= leg["tokens"] <= 8 * 32
    assert leg["operations_per_token"] > 6 * 2 * (32 * 32 * 4 + 2 * 32 * 64)
    assert leg["tokens_per_second"]["ours"] > 0
    assert leg["tokens_per_second"]["trainer"] > 0
