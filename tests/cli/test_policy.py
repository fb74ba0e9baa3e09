"""The verbs of a site's administrator: what would leave, and whether a trail is what was written."""

import json
from pathlib import Path

import pytest
import yaml

from fedner.audit.entries import Refused
from fedner.audit.trail import Trail
from fedner.cli import main

TEXT = "-DOCSTART- O\n\nAda B-PER\nsang O\n\n-DOCSTART- O\n\nin O\nRome B-LOC\n"


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    kept = Trail(tmp_path / "audit.jsonl", "north", tmp_path / "heads")
    for number in range(3):
        kept.append(Refused(request="train", message=str(number), code="policy-run", reason="no"))
    return tmp_path / "audit.jsonl"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main([str(each) for each in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_whole_trail_is_verified_and_says_what_would_not_show(capsys, trail):
    status, out, _ = run(capsys, "audit", "verify", trail)
    assert status == 0
    assert "4 lines, kept by north" in out
    assert "lines cut off its end would not show" in out


def test_a_shortened_trail_fails_against_the_anchor_and_against_a_head(capsys, trail):
    _, head, _ = run(capsys, "audit", "head", trail)
    assert head.startswith("3 ")
    trail.write_bytes(b"".join(trail.read_bytes().splitlines(keepends=True)[:-1]))
    assert run(capsys, "audit", "verify", trail)[0] == 0
    for kept in (("--anchor", trail.with_name("heads")), ("--head", head.strip())):
        status, out, err = run(capsys, "audit", "verify", trail, *kept)
        assert status == 1
        assert "line number 3 was there once and is not" in out
        assert "not what was written" in err


def test_an_altered_trail_fails_and_gives_no_head(capsys, trail):
    trail.write_bytes(trail.read_bytes().replace(b"policy-run", b"policy-rum", 1))
    status, out, _ = run(capsys, "audit", "verify", trail, "--json")
    assert (status, json.loads(out)["sound"]) == (1, False)
    assert run(capsys, "audit", "head", trail)[:2] == (1, "")


def test_what_a_run_would_take_is_shown_tensor_by_tensor(capsys, tmp_path):
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.conll").write_text(TEXT)
    files = {split: [f"{split}.conll"] for split in ("train", "dev", "test")}
    policy = {"dev": {"tell": "none"}, "sentences": "rounded"}
    (tmp_path / "site.yaml").write_text(yaml.safe_dump({"site": "north", "data": files, "policy": policy}))
    (tmp_path / "contract.yaml").write_text("name: small\nversion: 1\ntypes: [PER, LOC]\n")
    named = ("--site", tmp_path / "site.yaml", "--contract", tmp_path / "contract.yaml")
    status, out, _ = run(capsys, "policy", "show", *named, "model=tiny_random", "training.threads=1")
    assert status == 0
    # The head: 5 tags (O, B and I of two types) by the encoder's width, in float32.
    assert "arrays/classifier.weight  [5, " in out
    assert "  metrics/train-sentences  100\n" in out  # 2, rounded up
    assert "dev: refused, policy-scores" in out
    assert not (tmp_path / "audit.jsonl").exists()
