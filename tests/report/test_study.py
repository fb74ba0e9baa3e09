import json
from pathlib import Path
from typing import Any

import pytest

from fedner.errors import RunDirectoryError
from fedner.report import parse_study, read_study
from fedner.report.study import Interval

Plain = dict[str, Any]


def write(directory: Path, content: object) -> Path:
    path = directory / "report" / "metrics.json"
    path.parent.mkdir()
    path.write_text(json.dumps(content), encoding="utf-8")
    return directory


def test_every_part_of_a_comparison_is_read(comparison: Plain, tmp_path: Path) -> None:
    study = read_study(write(tmp_path, comparison))
    assert study.types == ("PER", "LOC", "ORG")
    assert list(study.federated) == [0, 1]
    assert list(study.local) == ["site-0", "site-1", "site-2"]
    assert study.partition["site-1"].train.entities == {"PER": 240, "LOC": 960, "ORG": 440}
    assert study.partition["site-1"].divergence_bits == 0.094
    assert study.splits["test"].documents == 51 + 41 + 13
    assert study.tuning["local/site-0"]["0.0001"] == 0.71
    assert study.per_site["site-2"].delta < 0 < study.per_site["site-0"].delta
    assert study.complete
    assert not study.synthetic


def test_all_but_the_arms_may_be_absent(single: Plain) -> None:
    study = parse_study({"schema": 1, "arms": single["arms"]})
    assert list(study.federated) == [0]
    assert study.types == ()
    assert study.intervals == {}
    assert study.gap_closed is None
    assert study.confidence == 0.95


def test_an_interval_without_bounds_is_read_as_none(comparison: Plain) -> None:
    comparison["intervals"]["federated"]["test"]["micro"] = [None, None]
    comparison["intervals"]["centralized"]["test"] = None
    study = parse_study(comparison)
    assert study.intervals["federated"].test.micro == Interval(None, None)
    assert study.intervals["centralized"].test.micro == Interval(None, None)


@pytest.mark.parametrize("content", [{"schema": 2, "arms": {}}, {"arms": {}}])
def test_another_schema_is_refused_with_the_file_and_what_was_found(content: Plain, tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"metrics\.json: expected schema 1, got"):
        read_study(write(tmp_path, content))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ({"arms": []}, "'arms' should be an object, got list"),
        ({"arms": {"federated": {"seeds": {"0": {"test": {}}}}}}, "KeyError"),
        ({"arms": {"federated": {"seeds": {"zero": {"test": {}}}}}}, "ValueError"),
        ({"data": {"partition": {"sites": [{}]}}}, r"data\.partition\.sites\[0\]\.site: expected this key, got none"),
        ({"differences": {"federated-local": {"low": 0}}}, r"differences\.federated-local\.delta: expected this key"),
        ({"differences": {"per_site": []}}, r"differences\.per_site: expected keys and values, got a list"),
        ({"intervals": {"federated": {"test": {"micro": [1, 2, 3]}}}}, r"intervals\.federated\.test\.micro"),
        ({"intervals": {"federated": {"test": {"micro": [1, "2"]}}}}, r"micro\[1\]: expected a number, got '2'"),
        ({"summary": {"federated": {"mean": "high"}}}, r"summary\.federated\.mean: expected a number, got 'high'"),
        ({"tuning": {"federated": {"0.1": None}}}, r"tuning\.federated\.0\.1: expected a number, got nothing"),
    ],
)
def test_a_damaged_file_is_refused_as_a_run_directory(
    damage: Plain, told: str, comparison: Plain, tmp_path: Path
) -> None:
    with pytest.raises(RunDirectoryError, match=rf"metrics\.json: .*{told}.*; run compare again"):
        read_study(write(tmp_path, comparison | damage))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"metrics\.json"):
        read_study(tmp_path)


def test_characters_that_drive_terminals_or_turn_text_round_are_shown_as_escapes(comparison: Plain) -> None:
    comparison["notices"] = ["a\x1b[31mb", "c\u202ed", "e\ud800f", "tab\tand\nline stay, so does ü"]
    notices = parse_study(comparison).notices
    assert notices == ("a\\x1b[31mb", "c\\u202ed", "e\\ud800f", "tab\tand\nline stay, so does ü")
