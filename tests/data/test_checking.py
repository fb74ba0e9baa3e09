import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from fedner.config import ContractConfig, FilesData, SitesData, SyntheticData, TagScheme
from fedner.data.checking import Repairs, check, check_lines, stats
from fedner.data.loading import load_corpus
from fedner.errors import LabelError
from fedner.report.text.counts import stats_table

CONTRACT = ContractConfig(name="news", types={"PER": "people", "ORG": "bodies", "LOC": "places"})
FIXTURES = Path(__file__).parent / "fixtures"
COLUMNS, ROWS = str(FIXTURES / "columns.conll"), str(FIXTURES / "rows.jsonl")


def shown(table: Table) -> str:
    console = Console(file=StringIO(), width=300)
    console.print(table)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_good_corpus_is_fit_and_counted() -> None:
    report = check(FilesData(contract=CONTRACT, train=[COLUMNS], dev=[ROWS], test=[COLUMNS]))
    assert report.ok
    assert [file.split for file in report.files] == ["train", "dev", "test"]
    first = report.files[0]
    assert (first.format, first.scheme, first.scheme_detected) == ("conll", "iob2", True)
    assert (first.documents, first.sentences, first.words) == (2, 3, 11)
    assert first.entities == {"PER": 1, "ORG": 1, "LOC": 1}
    assert first.warnings == ()
    assert report.warnings == ()
    assert "fit to use" in "\n".join(check_lines(report))


def test_every_bad_file_is_reported_not_the_first_alone(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("x O\ny\n")
    (tmp_path / "b.conll").write_text("x B-DRUG\n")
    paths = [str(tmp_path / name) for name in ("a.conll", "b.conll", "c.conll")]
    report = check(FilesData(contract=CONTRACT, train=paths, dev=[COLUMNS]))
    assert not report.ok
    reasons = [file.problem or "" for file in report.files]
    assert "a.conll:2: expected 2 columns" in reasons[0]
    assert "b.conll:1: tag 'B-DRUG'" in reasons[1]
    assert "c.conll: no such file" in reasons[2]
    assert reasons[3] == ""
    text = "\n".join(check_lines(report))
    assert "not fit to use" in text
    assert "B-DRUG" in text


def test_what_is_odd_but_readable_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "x.conll"
    path.write_text("x O\ny I-PER\n\nz O\n")
    report = check(FilesData(contract=CONTRACT, train=[str(path)], scheme=TagScheme.iob2))
    assert report.ok
    assert report.files[0].repairs == {"orphan": Repairs(1, 2)}
    warnings = " | ".join([*report.files[0].warnings, *report.warnings])
    assert "each sentence or row is a document" in warnings
    assert "1 illegal tags repaired (orphan), the first in line 2" in warnings
    assert "no ORG in the training files" in warnings
    assert "no PER" not in warnings
    assert "no dev files" in warnings


def test_a_file_without_entities_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "x.conll").write_text("x O\n")
    report = check(FilesData(contract=CONTRACT, train=[str(tmp_path / "x.conll")]))
    assert "no entity at all" in report.files[0].warnings


def test_a_folder_that_cannot_be_listed_is_a_problem_of_the_corpus(tmp_path: Path) -> None:
    report = check(SitesData(contract=CONTRACT, root=str(tmp_path / "nothing")))
    assert not report.ok
    assert "no such folder" in report.problems[0]
    assert "no such folder" in "\n".join(check_lines(report))


def test_without_a_contract_there_is_nothing_to_check_against() -> None:
    with pytest.raises(LabelError, match="expected a label contract"):
        check(FilesData(train=[COLUMNS]))


def test_the_users_brackets_are_not_markup(tmp_path: Path) -> None:
    (tmp_path / "[red]x.conll").write_text("[bold]\n")
    text = "\n".join(check_lines(check(FilesData(contract=CONTRACT, train=[str(tmp_path / "[red]x.conll")]))))
    assert "[red]x.conll" in text
    assert "[bold]" in text


def test_generated_text_needs_no_files_to_be_checked() -> None:
    contract = ContractConfig(types={name: "" for name in ("PATIENT", "DRUG", "DOSE", "DATE", "HOSPITAL")})
    assert check(SyntheticData(contract=contract)).ok


def test_statistics_count_what_is_there() -> None:
    corpus = load_corpus(FilesData(contract=CONTRACT, train=[COLUMNS], dev=[ROWS], test=[COLUMNS]))
    found = stats(corpus)
    assert found.contract_hash == corpus.contract.digest
    dev = found.splits["dev"]
    # 3 + 5 + 4 + 3 words in two documents, see the fixture
    assert (dev.documents, dev.sentences, dev.words, dev.longest_sentence) == (2, 4, 15, 5)
    assert list(dev.entities.items()) == [("PER", 1), ("ORG", 1), ("LOC", 1)]
    assert dev.metadata == {"source": {"rows.jsonl": 2}, "institution": {"north": 1}}
    text = shown(stats_table(found))
    assert all(word in text for word in ("train", "dev", "test", "PER", "15"))


def test_reports_survive_json() -> None:
    config = FilesData(contract=CONTRACT, train=[COLUMNS], dev=[ROWS], test=[COLUMNS])
    report = json.loads(json.dumps(check(config).to_json()))
    assert report["ok"] is True
    assert report["files"][0]["scheme"] == "iob2"
    assert json.loads(json.dumps(stats(load_corpus(config)).to_json()))["splits"]["train"]["words"] == 11
