"""The walk of docs/across-sites.md as it is written: a server and three sites on one machine, real text, the report."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fedner.files import read_json

ROOT = Path(__file__).parent.parent.parent
MINUTES = 10

pytestmark = pytest.mark.deploy


def test_the_documented_walk_ends_with_the_report(tmp_path):
    page = (ROOT / "docs" / "across-sites.md").read_text(encoding="utf-8")
    [block] = re.findall(r"## All of it on one machine.*?```sh\n(.*?)```", page, re.DOTALL)
    (tmp_path / "simulations").symlink_to(ROOT / "simulations")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", block],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        timeout=60 * MINUTES,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = tmp_path / "walk" / "runs" / "first"
    assert (run / "report" / "index.html").stat().st_size > 10_000
    result = read_json(run / "result.json")
    assert sorted(result["sites"]) == ["east", "north", "south"]
    assert result["test"]["micro"]["f1"] > 0.5
    assert "arrays/" in done.stdout, "the dry run names each tensor"
