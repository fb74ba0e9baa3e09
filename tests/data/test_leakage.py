import sys
from pathlib import Path

import pytest

from fedner.config import ContractConfig, FilesData
from fedner.data.auditing.leakage import Leakage, Unchecked, check_leakage
from fedner.data.corpus import Document, Sentence
from fedner.data.exclusion import write_excluded
from fedner.data.loading import load_corpus


def document(name: str, text: str) -> Document:
    words = tuple(text.split())
    return Document(name, (Sentence(words, ("O",) * len(words)),))


TRAIN = [document("a", "one two three four five six"), document("b", "seven eight nine ten")]


def test_test_documents_that_lie_in_train_are_counted() -> None:
    pytest.importorskip("datasketch")
    test = [
        document("c", "seven eight nine ten"),
        document("d", "eleven twelve thirteen fourteen"),
        document("e", "eleven twelve thirteen fourteen"),  # twice in test, and not in train
    ]
    assert check_leakage(TRAIN, test, left_out=2, wanted=True) == Leakage(3, 2, 1)
    assert check_leakage(TRAIN, test[1:], left_out=0, wanted=True) == Leakage(2, 0, 0)


def test_that_nothing_was_checked_is_said_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_leakage(TRAIN, TRAIN, left_out=0, wanted=False) == Leakage(2, 0, None, Unchecked.off)
    monkeypatch.setitem(sys.modules, "datasketch", None)  # what Python does where it is not installed
    assert check_leakage(TRAIN, TRAIN, left_out=0, wanted=True) == Leakage(2, 0, None, Unchecked.no_library)


@pytest.mark.parametrize("found", [Leakage(3, 2, 1), Leakage(3, 0, None, Unchecked.at_sites)])
def test_what_is_written_down_is_read_again(found: Leakage) -> None:
    assert Leakage.from_json(found.to_json()) == found


def test_a_corpus_knows_how_many_documents_were_left_out(tmp_path: Path) -> None:
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.conll").write_text("-DOCSTART- O\n\nx O\n\n-DOCSTART- O\n\ny O\n")
    files = {split: [str(tmp_path / f"{split}.conll")] for split in ("train", "dev", "test")}
    whole = load_corpus(FilesData(contract=ContractConfig(types={"DRUG": ""}), **files))
    write_excluded([whole.test[0].id], tmp_path / "ids.txt")
    rest = load_corpus(
        FilesData(contract=ContractConfig(types={"DRUG": ""}), exclude_documents=str(tmp_path / "ids.txt"), **files)
    )
    assert (whole.left_out, rest.left_out) == ({}, {"test": 1})
