from pathlib import Path

import pytest

from fedner.config import AtSitesData, ContractConfig, SyntheticData
from fedner.config.site import read_site
from fedner.data.corpus import Document, Sentence
from fedner.data.exclusion import leave_out, write_excluded
from fedner.data.labels import EntityType, LabelContract
from fedner.data.loading import load_corpus
from fedner.data.mapping import read_site_shard
from fedner.errors import ConfigError, DataError

FIXTURES = Path(__file__).parent / "fixtures"
SYNTHETIC = ContractConfig(types={name: "" for name in ("PATIENT", "DRUG", "DOSE", "DATE", "HOSPITAL")})


def documents(*names: str) -> tuple[Document, ...]:
    return tuple(Document(name, (Sentence(("x",), ("O",)),)) for name in names)


def test_named_documents_are_left_out_and_counted(tmp_path: Path) -> None:
    write_excluded(["b", "d e"], tmp_path / "ids.txt")
    splits = {"train": documents("a"), "test": documents("b", "c", "d e")}
    remaining = leave_out(splits, str(tmp_path / "ids.txt"))
    assert [each.id for each in remaining.documents["test"]] == ["c"]
    assert remaining.documents["train"] == splits["train"]
    assert remaining.left_out == {"test": 2}
    assert remaining.notice == "Documents left out by data.exclude_documents: 2 test."


def test_without_a_file_all_stay() -> None:
    remaining = leave_out({"test": documents("a")}, None)
    assert (remaining.documents, remaining.notice) == ({"test": documents("a")}, "")


def test_an_id_that_no_document_has_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("a\nz\n")
    with pytest.raises(DataError, match=r"ids.txt:2: expected the id of a document, got 'z'"):
        leave_out({"test": documents("a", "b")}, str(tmp_path / "ids.txt"))


@pytest.mark.parametrize(("content", "told"), [(None, "cannot read document ids"), (b"\xff", "UTF-8")])
def test_an_unreadable_list_is_refused(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "ids.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=told):
        leave_out({"test": documents("a")}, str(path))


def test_a_list_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("mine\n")
    with pytest.raises(DataError, match="got one that is there already"):
        write_excluded(["a"], tmp_path / "ids.txt")
    assert (tmp_path / "ids.txt").read_text() == "mine\n"


def test_a_corpus_says_what_was_left_out(tmp_path: Path) -> None:
    whole = load_corpus(SyntheticData(contract=SYNTHETIC, test_documents=8))
    write_excluded([whole.test[3].id], tmp_path / "ids.txt")
    config = SyntheticData(contract=SYNTHETIC, test_documents=8, exclude_documents=str(tmp_path / "ids.txt"))
    corpus = load_corpus(config)
    assert corpus.test == whole.test[:3] + whole.test[4:]
    assert "left out by data.exclude_documents: 1 test." in corpus.notice


def test_a_site_leaves_out_what_its_own_list_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = FIXTURES / "columns.conll"
    site_file = tmp_path / "site.yaml"
    files = "".join(f"  {split}: [{source}]\n" for split in ("train", "dev", "test"))
    site_file.write_text(f"site: north\ndata:\n  kind: files\n{files}")
    contract = LabelContract("news", 1, tuple(EntityType(name, "") for name in ("PER", "ORG", "LOC")))
    whole = read_site_shard(read_site(site_file), contract)
    write_excluded([whole.test[0].id], tmp_path / "ids.txt")
    site_file.write_text(f"site: north\ndata:\n  kind: files\n{files}  exclude_documents: ids.txt\n")
    shard = read_site_shard(read_site(site_file), contract)
    assert (shard.train, shard.test) == (whole.train, whole.test[1:])
    assert "north: Documents left out by data.exclude_documents: 1 test." in caplog.text


def test_a_run_for_real_sites_carries_no_list() -> None:
    with pytest.raises(ConfigError, match=r"data.exclude_documents: expected null with data=at_sites"):
        AtSitesData(exclude_documents="ids.txt")
