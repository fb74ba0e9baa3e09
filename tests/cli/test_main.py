import io
import json
import re
import sys

import pytest

from fedner.cli import main
from fedner.cli.keys import known_keys
from fedner.cli.main import VERBS
from fedner.cli.reference import reference
from fedner.cli.verbs import models
from fedner.config import TextFormat
from fedner.errors import DataError


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(arguments)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_help_names_every_verb(capsys):
    status, out, _ = run(capsys, "--help")
    assert status == 0
    for verb in (
        "simulate",
        "compare",
        "report",
        "config",
        "data",
        "contract",
        "predict",
        "evaluate",
        "matrix",
        "assets",
    ):
        assert f"  {verb} " in out


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_shows_an_example(capsys, verb):
    status, out, _ = run(capsys, verb, "--help")
    assert status == 0
    assert "example: " in out
    assert re.search(rf"\bfedner {verb}\b", out.partition("example: ")[2])


def test_help_of_an_action_shows_its_own_options(capsys):
    status, out, _ = run(capsys, "provision", "rotate", "--help")
    assert status == 0
    assert "--finish" in out
    assert "example: fedner provision rotate" in out


def test_an_unknown_action_is_refused_with_the_closest(capsys):
    status, _, err = run(capsys, "data", "chekc")
    assert status == 2
    assert "data: expected check, stats, audit, fingerprint, overlap or lookup, got 'chekc'" in err
    assert "did you mean 'check'?" in err


def test_options_may_stand_between_overrides(capsys):
    status, out, _ = run(capsys, "config", "experiment=smoke", "--json", "training.lr=0.5")
    assert status == 0
    assert json.loads(out)["training"]["lr"] == 0.5


def test_an_unknown_option_is_refused_among_overrides(capsys):
    status, _, err = run(capsys, "config", "--jsn", "training.lr=0.5")
    assert status == 2
    assert "fedner config: unrecognized arguments: --jsn" in err


def test_predictions_into_brat_need_a_folder(capsys):
    status, _, err = run(capsys, "predict", "model", "--format", "brat")
    assert status == 2
    assert "--format brat writes a folder; name it with --output" in err


def test_standard_input_that_is_no_text_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Ada\n\xff\n"), encoding="utf-8"))
    with pytest.raises(DataError, match="standard input: is not utf-8 at byte 4"):
        list(models._texts([], TextFormat.auto, "utf-8"))


def test_unknown_verb_is_refused_with_the_known_ones(capsys):
    status, _, err = run(capsys, "simulat")
    assert status == 2
    assert "no verb 'simulat' (did you mean 'simulate'?)" in err
    assert "compare" in err


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("training.lrr=1", "did you mean 'training.lr'?"),
        ("trainng.lr=1", "did you mean 'training"),
        ("partition.alfa=1", "partition.alfa"),
        ("training.lr=abc", "training.lr: Value 'abc'"),
        ("training.lr=-1", "training.lr: expected a number above 0, got -1"),
        ("training.precision=bf17", "expected one of [auto, fp32, bf16, fp16]"),
        ("data=conl2003", "did you mean 'conll2003'"),
        ("aggregation.momentum=0.5", "aggregation.momentum"),
        ("experiment.seeds=[]", "experiment.seeds: expected at least one seed"),
    ],
)
def test_bad_override_is_refused_with_its_key(capsys, override, told):
    status, out, err = run(capsys, "config", override)
    assert status == 2
    assert out == ""
    assert told in err
    assert "Traceback" not in err


def test_group_brings_its_own_keys(capsys):
    status, out, _ = run(capsys, "config", "partition=dirichlet", "partition.alpha=0.1", "--json")
    assert status == 0
    assert json.loads(out)["partition"] == {
        "kind": "dirichlet", "seed": 0, "annotated": {}, "whole_test": True, "sites": 4, "min_train_documents": 2,
        "alpha": 0.1,
    }  # fmt: skip


def test_override_after_an_experiment_wins(capsys):
    _, out, _ = run(capsys, "config", "experiment=conll2003_skew", "partition.alpha=9", "federation.rounds=3", "--json")
    config = json.loads(out)
    assert (config["partition"]["alpha"], config["federation"]["rounds"], config["name"]) == (9, 3, "conll2003_skew")


def test_multirun_composes_one_config_per_combination(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, _ = run(capsys, "config", "name=x", "seed=0,1", "training.lr=1e-4,1e-3", "--multirun", "--json")
    configs = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [(c["name"], c["seed"], c["training"]["lr"]) for c in configs] == [
        ("x-00", 0, 1e-4), ("x-01", 0, 1e-3), ("x-02", 1, 1e-4), ("x-03", 1, 1e-3),
    ]  # fmt: skip


def test_saved_config_runs_again_with_overrides(capsys, tmp_path):
    _, saved, _ = run(capsys, "config", "experiment=smoke")
    (tmp_path / "config.yaml").write_text(saved)
    status, out, _ = run(capsys, "config", "--from", str(tmp_path), "training.lr=0.5", "--json")
    config = json.loads(out)
    assert status == 0
    assert (config["name"], config["training"]["lr"], config["data"]["kind"]) == ("smoke", 0.5, "synthetic")


def test_saved_config_refuses_a_misspelt_key(capsys, tmp_path):
    _, saved, _ = run(capsys, "config", "experiment=smoke")
    (tmp_path / "config.yaml").write_text(saved.replace("warmup:", "warmupp:"))
    status, _, err = run(capsys, "config", "--from", str(tmp_path))
    assert status == 2
    assert "warmupp" in err


@pytest.mark.parametrize("content", ["", "- a list\n", "just words\n"])
def test_a_saved_config_that_is_no_mapping_is_refused_without_a_traceback(capsys, tmp_path, content):
    (tmp_path / "config.yaml").write_text(content)
    status, _, err = run(capsys, "config", "--from", str(tmp_path))
    assert status == 2
    assert "expected one JSON object" in err


def test_every_known_key_is_documented_with_a_meaning():
    page = reference()
    undocumented = [line for line in page.splitlines() if line.startswith("| `") and line.rstrip().endswith("|  |")]
    assert undocumented == []
    leaves = [key for key in known_keys() if key not in ("data", "model", "partition", "training", "aggregation")]
    missing = [
        key for key in leaves if "." in key and not key.endswith((".kind", ".contract")) and f"`{key}`" not in page
    ]
    assert missing == []


def test_the_documented_reference_is_the_current_one(pytestconfig):
    page = (pytestconfig.rootpath / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == reference()
