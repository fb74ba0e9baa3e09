from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from fedner.config import ContractConfig, HubData, TagScheme
from fedner.data.loading import load_corpus, load_with_reports
from fedner.errors import DataError, LabelError

CONTRACT = ContractConfig(name="news", types={"PER": "people", "LOC": "places"})
NAMES = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
LABELLED = Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=NAMES))})
ROWS: dict[str, list[object]] = {"tokens": [["Ada", "Quill"], ["in", "Amble"]], "ner_tags": [[3, 4], [0, 1]]}


def save(folder: Path, rows: dict[str, list[object]], features: Features | None = None, **splits: object) -> HubData:
    names = splits or {"train": None, "validation": None, "test": None}
    DatasetDict({name: Dataset.from_dict(rows, features) for name in names}).save_to_disk(folder / "set")
    return HubData(contract=CONTRACT, path=str(folder / "set"))


def test_class_labels_are_read_by_name_not_by_number(tmp_path: Path) -> None:
    loaded = load_with_reports(save(tmp_path, ROWS, LABELLED))
    corpus = loaded.corpus
    # the data set numbers LOC before PER, the contract PER before LOC
    assert [document.sentences[0].tags for document in corpus.train] == [("B-PER", "I-PER"), ("O", "B-LOC")]
    assert [document.id for document in corpus.dev] == ["dev:0", "dev:1"]
    assert [report.scheme for report in loaded.reports] == [TagScheme.iob2] * 3
    assert [report.path for report in loaded.reports] == [
        f"{tmp_path / 'set'}[{name}]" for name in ("train", "validation", "test")
    ]


def test_tags_as_text_and_documents_by_column(tmp_path: Path) -> None:
    rows: dict[str, list[object]] = {
        "words": [["Ada"], ["Amble"], ["x"]],
        "labels": [["S-PER"], ["S-LOC"], ["O"]],
        "letter": ["a", "a", "b"],
    }
    config = save(tmp_path, rows)
    config.words_column, config.tags_column, config.document_column = "words", "labels", "letter"
    corpus = load_corpus(config)
    assert [document.id for document in corpus.train] == ["train:a", "train:b"]
    assert [sentence.tags for sentence in corpus.train[0].sentences] == [("B-PER",), ("B-LOC",)]


@pytest.mark.parametrize(
    ("rows", "features", "reason"),
    [
        ({"tokens": [["x"]], "ner_tags": [[1]]}, None, r"set\[train\]:1: .*tags are numbers without names"),
        ({"tokens": [["x"]], "ner_tags": [[-1]]}, LABELLED, r":1: .*got -1 \(names are O, B-LOC"),
        ({"tokens": [["x"], ["x"]], "ner_tags": [[0], [0, 0]]}, LABELLED, r":2: .*1 words and 2 tags"),
        ({"tokens": [[""]], "ner_tags": [[0]]}, LABELLED, ":1: word 0: expected a word"),
        ({"tokens": ["x"], "ner_tags": ["O"]}, None, "expected a list of words"),
        ({"toks": [["x"]], "ner_tags": [["O"]]}, None, r"no column 'tokens' \(data.words_column\).*got toks"),
    ],
)
def test_a_broken_data_set_is_refused_with_its_row(
    tmp_path: Path, rows: dict[str, list[object]], features: Features | None, reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        load_corpus(save(tmp_path, rows, features))


def test_an_unknown_class_label_is_refused(tmp_path: Path) -> None:
    features = Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=["O", "B-PERS"]))})
    with pytest.raises(LabelError, match=r"set\[train\]:1: tag 'B-PERS'.*did you mean 'PER'"):
        load_corpus(save(tmp_path, {"tokens": [["x"]], "ner_tags": [[1]]}, features))


def test_a_missing_split_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no split 'validation' \(data.dev_split\).*got test, train"):
        load_corpus(save(tmp_path, ROWS, LABELLED, train=None, test=None))


def test_a_directory_that_is_no_data_set_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"could not be opened .*data\.path.*save_to_disk"):
        load_corpus(HubData(contract=CONTRACT, path=str(tmp_path / "nothing")))
