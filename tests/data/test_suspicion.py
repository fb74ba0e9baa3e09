"""Annotations that a model contradicts: worked by hand, and planted errors found under a model that knows better."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedner.cli.main import perform
from fedner.config import ModelConfig
from fedner.data.auditing import AuditOptions, Suspicion, audit
from fedner.data.auditing.duplicates import Place
from fedner.data.auditing.suspicion import Beliefs, confident_labels, find_suspicious
from fedner.data.corpus import Document, Sentence
from fedner.data.labels import EntityType, LabelContract
from fedner.errors import ConfigError
from fedner.learning.tagger.model import build_tagger, save_tagger
from fedner.report.text.audit import audit_tables

CONTRACT = LabelContract("notes", 1, (EntityType("DRUG", ""), EntityType("DOSE", "")))
OUT, DRUG, DOSE = np.eye(3)


def document(name: str, text: str, tags: str, unannotated: tuple[str, ...] = ()) -> Document:
    return Document(name, (Sentence(tuple(text.split()), tuple(tags.split())),), unannotated=unannotated)


def beliefs(*rows: np.ndarray) -> Beliefs:
    return np.array(rows, dtype=np.float32)


def test_the_confident_label_is_the_likeliest_that_reaches_its_mean() -> None:
    given_labels = np.array([0, 0, 0, 1, 1])
    believed = beliefs(*np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.2, 0.8], [0.6, 0.4]]))
    # Thresholds: (0.9 + 0.8 + 0.3) / 3 = 0.667 and (0.8 + 0.4) / 2 = 0.6. The third reaches the other label's. The last
    # reaches none, as 0.6 is below 0.667, and is left alone although the model rather holds it for the other.
    assert confident_labels(given_labels, believed).tolist() == [0, 0, 1, 1, 1]


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.floats(0.01, 0.6))
def test_who_believes_what_is_annotated_suspects_nothing_however_unsure(labels: list[int], certainty: float) -> None:
    believed = (certainty * np.eye(3)[labels] + (1 - certainty) / 3).astype(np.float32)
    assert confident_labels(np.array(labels), believed).tolist() == labels


def test_neighbours_with_one_finding_are_one_and_the_least_probable_comes_first() -> None:
    notes = [
        document("a", "take Red Pill twice 5 mg", "O O O O B-DOSE I-DOSE"),
        document("b", "Blue 7 mg", "B-DOSE B-DOSE I-DOSE"),
        document("c", "Green 9 mg", "B-DRUG B-DOSE I-DOSE"),
    ]
    sure = 0.98 * np.eye(3) + 0.01 * (1 - np.eye(3))
    unsure = np.array([0.05, 0.9, 0.05])
    believed = beliefs(
        sure[0], sure[1], sure[1], sure[0], sure[2], sure[2], unsure, sure[2], sure[2], unsure, *sure[[2, 2]]
    )
    found = find_suspicious("test", notes, believed, CONTRACT)
    assert [replace(each, probability=round(each.probability, 4)) for each in found] == [
        Suspicion(Place("test", "a", 0), ("Red", "Pill"), "O", "DRUG", 0.01),
        Suspicion(Place("test", "b", 0), ("Blue",), "DOSE", "DRUG", 0.05),
    ]


def test_an_o_of_a_type_that_nobody_looked_for_is_not_suspected() -> None:
    plain, drug = document("a", "Aspirin helps", "O O"), document("b", "Zocor helps", "B-DRUG O")
    believed = beliefs(DRUG, OUT, DRUG, OUT)
    assert [each.words for each in find_suspicious("dev", [plain, drug], believed, CONTRACT)] == [("Aspirin",)]
    silent = [replace(plain, unannotated=("DRUG",)), drug]
    assert find_suspicious("dev", silent, believed, CONTRACT) == []


def test_the_report_has_suspicions_only_where_a_model_was_asked_and_its_json_no_words() -> None:
    splits = {"dev": [document("b", "Zocor helps", "B-DRUG O")], "test": [document("a", "Aspirin helps", "O O")]}
    splits["test"].append(document("c", "Zocor", "B-DRUG"))
    asked = {"dev": beliefs(DRUG, OUT), "test": beliefs(DRUG, OUT, DRUG)}
    assert audit("notes", CONTRACT, splits, AuditOptions()).to_json()["suspicious"] is None
    report = audit("notes", CONTRACT, splits, AuditOptions(), asked)
    assert report.to_json()["suspicious"] == [
        {"place": {"split": "test", "document": "a", "sentence": 0}, "annotated": "O", "believed": "DRUG",
         "probability": 0.0}
    ]  # fmt: skip
    assert "Aspirin" not in json.dumps(report.to_json())
    assert [table.title for table in audit_tables(report)][-2:] == [
        "the model contradicts", "perhaps annotated wrongly: 1"
    ]  # fmt: skip


def test_the_verb_asks_a_model_of_the_same_types_and_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.conll").write_text(f"{split} O\nAspirin B-DRUG\n5 B-DOSE\nmg I-DOSE\n")
    overrides = ["data=files", *(f"data.{split}=[{tmp_path}/{split}.conll]" for split in ("train", "dev", "test"))]
    overrides += ["+data.contract.types.DRUG=", "+data.contract.types.DOSE="]
    tiny = ModelConfig(name="tiny-random", max_length=32)
    for name, types in (("same", ("DRUG", "DOSE")), ("other", ("DOSE", "DRUG"))):
        contract = LabelContract("labels", 1, tuple(map(EntityType, types)))
        save_tagger(build_tagger(tiny, contract, 0), tmp_path / name, "a card")
    perform(["data", "audit", *overrides, "--model", str(tmp_path / "same"), "--json"])
    assert isinstance(json.loads(capsys.readouterr().out)["suspicious"], list)
    with pytest.raises(ConfigError, match="expected a model of the text's types DRUG, DOSE"):
        perform(["data", "audit", *overrides, "--model", str(tmp_path / "other")])
