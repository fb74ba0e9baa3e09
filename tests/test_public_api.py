"""`import fedner`: the names it promises, and that they do what docs/python.md says."""

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from transformers import pipeline

import fedner
from fedner.cli.main import main
from fedner.config import to_plain
from fedner.errors import ConfigError, DataError, RunDirectoryError
from fedner.metrics import PRF

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> fedner.Run:
    """Return one finished comparison."""
    folder = tmp_path_factory.mktemp("runs")
    return fedner.compare(fedner.compose("experiment=smoke", "training.threads=1", f"output={folder}"))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> fedner.Run:
    """Return one finished federation."""
    folder = tmp_path_factory.mktemp("runs")
    return fedner.simulate(fedner.compose("experiment=smoke", "training.threads=1", f"output={folder}"))


def test_the_public_names_are_these():
    assert fedner.__all__ == [
        "Config", "FednerError", "FoundEntity", "Run", "Score", "Study", "Tagger", "compare", "compose", "evaluate",
        "load_tagger", "open_run", "predict", "resume", "score", "simulate",
    ]  # fmt: skip
    assert all(getattr(fedner, name).__module__.startswith("fedner.") for name in fedner.__all__)
    assert set(fedner.__all__) <= set(dir(fedner))
    with pytest.raises(AttributeError, match="no attribute 'simulte'"):
        fedner.simulte  # noqa: B018 # pyright: ignore


def test_a_name_is_taken_from_where_type_checkers_look_for_it():
    source = (ROOT / "fedner" / "__init__.py").read_text(encoding="utf-8")
    seen = {
        name: module
        for module, names in re.findall(r"^    from (\S+) import (.+)$", source, re.MULTILINE)
        for name in names.split(", ")
    }
    assert list(seen) != []
    assert sorted(seen) == fedner.__all__
    assert all(getattr(import_module(module), name) is getattr(fedner, name) for name, module in seen.items())


@pytest.mark.parametrize("use", ["fedner", "fedner.compose('experiment=smoke'), fedner.open_run"])
def test_importing_and_composing_load_no_heavy_package(use):
    heavy = ("torch", "transformers", "flwr", "matplotlib", "datasets")
    code = f"import sys, fedner; {use}; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_config_is_composed_as_on_the_command_line(capsys, run):
    overrides = ["experiment=smoke", "federation.rounds=3", "partition.seed=4"]
    assert main(["config", *overrides, "--json"]) == 0
    ours = fedner.compose(*overrides)
    assert to_plain(ours) == json.loads(capsys.readouterr().out)
    assert fedner.compose("training.lr=0.5", run=run.directory).training.lr == 0.5


def test_a_mistyped_key_is_refused_with_the_closest():
    with pytest.raises(ConfigError, match=r"did you mean 'training.lr'\?"):
        fedner.compose("training.lrr=1")
    with pytest.raises(fedner.FednerError):
        fedner.compose("data=conl2003")


def test_a_comparison_returns_its_results_as_types_and_as_html(run):
    assert set(run.study.summaries) >= {"centralized", "federated", "local"}
    assert run.report.exists()
    assert fedner.open_run(run.directory) == run
    html = run._repr_html_()
    assert "<table" in html
    assert "federated" in html.lower()
    assert "makes no claim about quality" in html  # the text is synthetic


def test_a_run_returns_its_rounds_and_its_model(simulated):
    (federated,) = simulated.study.federated.values()
    assert len(federated.rounds) == fedner.compose("experiment=smoke").federation.rounds
    assert fedner.load_tagger(simulated.model).contract.type_names == simulated.study.types


def test_a_folder_without_a_report_is_refused(tmp_path):
    with pytest.raises(RunDirectoryError, match=r"metrics\.json"):
        fedner.open_run(tmp_path)


TEXTS = ["Mrs. Ada Lovelace took 5 mg of aspirin.", "", "Seen at St. Mary on 3 May 2020, then sent home."]


def test_entities_lie_where_they_say_and_score_as_in_the_pipeline(simulated):
    tagger = fedner.load_tagger(simulated.model)
    found = fedner.predict(tagger, TEXTS, threads=1)
    assert found[1] == []
    assert sum(map(len, found)) > 0
    for text, entities in zip(TEXTS, found, strict=True):
        assert all(entity.text == text[entity.start : entity.end] for entity in entities)
        assert all(0 < entity.score <= 1 for entity in entities)
    theirs = pipeline("token-classification", model=str(simulated.model), aggregation_strategy="first", device="cpu")
    for text, entities in zip(TEXTS, found, strict=True):
        expected = (
            [(each["start"], each["end"], each["entity_group"], each["score"]) for each in theirs(text)] if text else []
        )
        assert [each[:3] for each in entities] == [each[:3] for each in expected]
        assert [each.score for each in entities] == pytest.approx([each[3] for each in expected], abs=1e-5)


def test_the_command_line_finds_the_same_entities(simulated, capsys, tmp_path):
    lines = [text for text in TEXTS if text]
    (tmp_path / "text.txt").write_text(lines[0], encoding="utf-8")
    assert main(["predict", str(simulated.model), str(tmp_path / "text.txt"), "--threads", "1"]) == 0
    spans = json.loads(capsys.readouterr().out)["spans"]
    ours = fedner.predict(fedner.load_tagger(simulated.model), lines[:1], threads=1)[0]
    assert [(each["start"], each["end"], each["label"]) for each in spans] == [each[:3] for each in ours]


def test_labelled_files_are_scored_as_by_the_command_line(simulated, capsys, tmp_path):
    file = tmp_path / "gold.conll"
    file.write_text("Ada\tB-PATIENT\ntook\tO\naspirin\tB-DRUG\n", encoding="utf-8")
    assert main(["evaluate", str(simulated.model), str(file), "--json", "--threads", "1"]) == 0
    expected = json.loads(capsys.readouterr().out)["score"]
    assert fedner.evaluate(fedner.load_tagger(simulated.model), [file], threads=1).to_json() == expected


def test_entities_are_scored_strictly():
    gold = [[(0, 3, "PER"), (8, 12, "LOC")], [(0, 4, "PER")]]
    predicted = [[fedner.FoundEntity(0, 3, "PER", "Ada", 0.9), (8, 11, "LOC")], [(0, 4, "LOC")]]
    found = fedner.score(gold, predicted)
    # One hit of three predicted and three gold; LOC: a wrong end and a wrong label; PER: one of two found.
    assert found.micro == PRF(precision=1 / 3, recall=1 / 3, f1=1 / 3, tp=1, fp=2, fn=2, support=3)
    assert found.types["PER"] == PRF(precision=1.0, recall=0.5, f1=2 / 3, tp=1, fp=0, fn=1, support=2)
    assert found.types["LOC"].f1 == 0


def test_entities_of_other_texts_are_not_scored():
    with pytest.raises(DataError, match="got 2 for 1"):
        fedner.score([[]], [[], []])
    with pytest.raises(DataError, match="at least one entity"):
        fedner.score([[]], [[]])
