"""`fedner matrix` on two tiny models and two sites' files."""

import json
from pathlib import Path

import pytest

from fedner.cli import main
from fedner.config import ModelConfig
from fedner.data.labels import EntityType, LabelContract
from fedner.learning.tagger.model import build_tagger, save_tagger

CONTRACT = LabelContract("people", 1, (EntityType("PER", "a person"), EntityType("LOC", "a place")))
FILES = {
    "north.conll": "Anna\tB-PER\nsleeps\tO\n\nOslo\tB-LOC\n",
    "south.conll": "Bert\tB-PER\nMeyer\tI-PER\nin\tO\nRome\tB-LOC\n",
    "more.conll": "Rome\tB-LOC\nagain\tO\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("joined", "north")):
        save_tagger(build_tagger(ModelConfig(name="tiny-random", max_length=32), CONTRACT, seed), name, "a card")
    for name, text in FILES.items():
        Path(name).write_text(text, encoding="utf-8")
    return tmp_path


MODELS = ["--models", "joined=joined", "north=north"]
SITES = ["--sites", "north=north.conll", "south=south.conll", "south=more.conll"]


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert main([*arguments, "--json", "--threads", "1"]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_cell_is_what_evaluate_says_of_that_model_and_those_files(folder, capsys):
    content = told(capsys, "matrix", *MODELS, *SITES)
    assert content["contract"]["hash"] == CONTRACT.digest
    for row in content["matrix"]["rows"]:
        texts = {"north": ["north.conll"], "south": ["south.conll", "more.conll"], "": list(FILES)}
        for site, files in texts.items():
            cell = row["sites"][site] if site else row["pooled"]
            micro = told(capsys, "evaluate", row["model"], *files)["score"]["micro"]
            assert cell["f1"] == micro["f1"]
            assert {key: cell["seeds"]["0"][key] for key in ("tp", "fp", "fn")} == {
                key: micro[key] for key in ("tp", "fp", "fn")
            }
        assert [row["sites"][site]["support"] for site in ("north", "south")] == [2, 3]


def test_a_model_named_as_a_site_is_its_own_and_the_files_are_written(folder, capsys):
    assert main(["matrix", *MODELS, *SITES, "--output", "crossed", "--threads", "1"]) == 0
    said = capsys.readouterr().out
    assert said.count("▸") == 1
    assert "checked-with:seqeval" in said
    content = json.loads(Path("crossed/matrix.json").read_text(encoding="utf-8"))
    assert [row["site"] for row in content["matrix"]["rows"]] == ["", "north"]
    assert {path.name for path in Path("crossed").iterdir()} == {"matrix.json", "matrix.md", "matrix.svg"}


def test_models_of_different_contracts_are_refused_with_the_difference(folder, capsys):
    other = LabelContract("people", 1, (EntityType("PER", "a person"), EntityType("PLACE", "a place")))
    save_tagger(build_tagger(ModelConfig(name="tiny-random", max_length=32), other, 0), "other", "a card")
    assert main(["matrix", "--models", "joined=joined", "b=other", *SITES]) == 2
    err = capsys.readouterr().err
    assert "models 'joined' (ours) and 'b' (theirs) hold different label contracts" in err
    assert "only in theirs: PLACE" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--models", "joined", *SITES], "--models expected NAME=PLACE, got 'joined'"),
        (["--models", "a=joined", "a=north", *SITES], "expected different names, got 'a' twice"),
        ([*MODELS, "--sites", "=north.conll"], "--sites expected NAME=PLACE, got '=north.conll'"),
        ([*MODELS, "--sites", "north=nowhere.conll"], "nowhere.conll"),
        (["--models", "a=nowhere", *SITES], "nowhere: expected a directory with a trained model"),
        (MODELS, "--sites"),
    ],
)
def test_bad_usage_is_told_with_what_was_found(folder, capsys, arguments, said):
    assert main(["matrix", *arguments]) == 2
    assert said in capsys.readouterr().err
