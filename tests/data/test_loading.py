import logging
import sys
from pathlib import Path
from subprocess import run

import pytest

from fedner.config import (
    Conll2003Data,
    ContractConfig,
    DataConfig,
    FilesData,
    OnIllegal,
    SitesData,
    SyntheticData,
    TagScheme,
)
from fedner.data.corpus import SPLITS, num_sentences
from fedner.data.loading import load_corpus, load_files, load_with_reports
from fedner.errors import ConfigError, DataError, LabelError

CONTRACT = ContractConfig(name="news", types={"PER": "people", "ORG": "bodies", "LOC": "places"})
FIXTURES = Path(__file__).parent / "fixtures"
COLUMNS, ROWS = str(FIXTURES / "columns.conll"), str(FIXTURES / "rows.jsonl")


def make_sites(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
        for split in SPLITS:
            (root / name / f"{split}.conll").write_text(f"{name}\tB-LOC\n{split}\tO\n")
    return root


def test_files_of_both_formats_make_one_corpus() -> None:
    corpus = load_corpus(FilesData(contract=CONTRACT, train=[COLUMNS, ROWS], dev=[ROWS], test=[COLUMNS]))
    assert [document.id for document in corpus.train] == ["train/0:0", "train/0:1", "train/1:ward-1", "train/1:ward-2"]
    assert [document.id for document in corpus.dev] == ["dev:ward-1", "dev:ward-2"]
    assert [document.metadata["source"] for document in corpus.test] == ["columns.conll"] * 2
    assert corpus.contract.type_names == ("PER", "ORG", "LOC")


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_without_files_is_refused_unless_it_is_not_required(split: str) -> None:
    train, dev, test = ([] if name == split else [COLUMNS] for name in SPLITS)
    config = FilesData(contract=CONTRACT, train=train, dev=dev, test=test)
    with pytest.raises(DataError, match=rf"the {split} split .*set data\.{split}"):
        load_corpus(config)
    assert load_corpus(config, require=()).split(split) == ()


def test_no_file_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"set data\.train"):
        load_corpus(FilesData(contract=CONTRACT))


def test_a_file_listed_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.train: a file is listed twice"):
        load_corpus(FilesData(contract=CONTRACT, train=[COLUMNS, COLUMNS]))


def test_a_missing_file_says_so() -> None:
    with pytest.raises(DataError, match=r"nowhere\.conll: no such file"):
        load_corpus(FilesData(contract=CONTRACT, train=["nowhere.conll"]))


def test_the_contract_file_decides(tmp_path: Path) -> None:
    (tmp_path / "labels.yaml").write_text("types: [PER, LOC]\n")
    with pytest.raises(LabelError, match=r"columns\.conll:15: tag 'B-ORG'"):
        load_corpus(FilesData(contract=CONTRACT, contract_file=str(tmp_path / "labels.yaml"), train=[COLUMNS]))


def test_scheme_and_refusal_are_handed_to_every_file(tmp_path: Path) -> None:
    (tmp_path / "x.conll").write_text("x O\ny I-PER\n")
    path = str(tmp_path / "x.conll")
    config = FilesData(contract=CONTRACT, train=[path], scheme=TagScheme.iob2, on_illegal=OnIllegal.refuse)
    with pytest.raises(DataError, match=r"x\.conll:2: illegal IOB2"):
        load_corpus(config, require=())


def test_repairs_are_logged_as_counts_without_words(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "x.conll").write_text("secret O\nname I-PER\n")
    config = FilesData(contract=CONTRACT, train=[str(tmp_path / "x.conll")], scheme=TagScheme.iob2)
    with caplog.at_level(logging.WARNING):
        load_corpus(config, require=())
    assert "repaired illegal IOB2 tags: orphan 1" in caplog.text
    assert "secret" not in caplog.text
    assert "name" not in caplog.text


def test_sites_are_folders_and_their_documents_know_it(tmp_path: Path) -> None:
    corpus = load_corpus(
        SitesData(contract=CONTRACT, root=str(make_sites(tmp_path / "ward", "north", "east", "far")), unseen=["far"])
    )
    assert corpus.name == "ward"
    assert [document.id for document in corpus.train] == ["east/train:0", "north/train:0"]
    assert [document.metadata["site"] for document in corpus.test] == ["east", "north", "far"]
    assert ["unseen" in document.metadata for document in corpus.test] == [False, False, True]
    assert corpus.test[2].metadata["unseen"] == "yes"


def test_only_the_named_sites_take_part_in_any_order(tmp_path: Path) -> None:
    root = str(make_sites(tmp_path, "north", "east", "far"))
    config = SitesData(contract=CONTRACT, root=root, sites=["north", "east"])
    assert load_corpus(config) == load_corpus(SitesData(contract=CONTRACT, root=root, sites=["east", "north"]))
    assert {document.metadata["site"] for document in load_corpus(config).train} == {"north", "east"}


def test_an_unseen_site_needs_only_test_files(tmp_path: Path) -> None:
    root = make_sites(tmp_path, "north", "far")
    (root / "far" / "train.conll").unlink()
    (root / "far" / "dev.conll").unlink()
    assert len(load_corpus(SitesData(contract=CONTRACT, root=str(root), unseen=["far"])).test) == 2


@pytest.mark.parametrize(
    ("sites", "unseen", "reason"),
    [
        (["nort"], [], r"no folder for site 'nort' \(did you mean 'north'\?\); got east, north"),
        (["north"], ["north"], "site 'north' is named twice"),
        (["north", "north"], [], "site 'north' is named twice"),
        ([], ["north", "east"], "expected at least one site's folder"),
    ],
)
def test_sites_that_cannot_be_are_refused(tmp_path: Path, sites: list[str], unseen: list[str], reason: str) -> None:
    root = str(make_sites(tmp_path, "north", "east"))
    with pytest.raises((DataError, ConfigError), match=reason):
        load_corpus(SitesData(contract=CONTRACT, root=root, sites=sites, unseen=unseen))


def test_a_site_has_one_file_for_each_split(tmp_path: Path) -> None:
    root = make_sites(tmp_path, "north")
    (root / "north" / "train.conll.bak").write_text("not a corpus")
    assert len(load_corpus(SitesData(contract=CONTRACT, root=str(root))).train) == 1
    (root / "north" / "train.jsonl").write_text("")
    with pytest.raises(DataError, match=r"north: expected one file train\.\*.*got train\.conll, train\.jsonl"):
        load_corpus(SitesData(contract=CONTRACT, root=str(root)))
    (root / "north" / "dev.conll").unlink()
    (root / "north" / "train.jsonl").unlink()
    with pytest.raises(DataError, match=r"expected one file dev\.\*.*got none"):
        load_corpus(SitesData(contract=CONTRACT, root=str(root)))


def test_a_missing_root_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing: no such folder; data\.root"):
        load_corpus(SitesData(contract=CONTRACT, root=str(tmp_path / "nothing")))


def synthetic(num_train: int | None, seed: int = 0, num_dev: int | None = None) -> SyntheticData:
    types = {name: "" for name in ("PATIENT", "DRUG", "DOSE", "DATE", "HOSPITAL")}
    contract = ContractConfig(types=types)
    return SyntheticData(
        contract=contract, train_documents=40, train_sentences=num_train, dev_sentences=num_dev, sample_seed=seed
    )


def test_a_sample_is_the_fewest_whole_documents_that_reach_the_number() -> None:
    whole, sample = load_corpus(synthetic(None)), load_corpus(synthetic(30))
    kept = [document for document in whole.train if document in sample.train]
    assert kept == list(sample.train)
    assert num_sentences(sample.train) >= 30
    assert any(num_sentences(sample.train) - len(document.sentences) < 30 for document in sample.train)
    assert (sample.dev, sample.test) == (whole.dev, whole.test)


def test_a_sample_of_dev_leaves_train_and_test_alone() -> None:
    whole, sample = load_corpus(synthetic(None)), load_corpus(synthetic(None, num_dev=12))
    assert 12 <= num_sentences(sample.dev) < num_sentences(whole.dev)
    assert [document for document in whole.dev if document in sample.dev] == list(sample.dev)
    assert (sample.train, sample.test) == (whole.train, whole.test)
    with pytest.raises(ConfigError, match=r"data\.dev_sentences: expected at most"):
        load_corpus(synthetic(None, num_dev=10_000))


def test_the_sample_follows_its_own_seed() -> None:
    assert load_corpus(synthetic(30)) == load_corpus(synthetic(30))
    assert load_corpus(synthetic(30)).train != load_corpus(synthetic(30, seed=1)).train


def test_more_sentences_than_there_are_is_refused() -> None:
    total = num_sentences(load_corpus(synthetic(None)).train)
    assert load_corpus(synthetic(total)).train == load_corpus(synthetic(None)).train
    with pytest.raises(ConfigError, match=rf"data\.train_sentences: expected at most {total}"):
        load_corpus(synthetic(total + 1))


def test_further_files_are_read_as_the_corpus_is() -> None:
    documents = load_files(FilesData(contract=CONTRACT, train=["unread.conll"]), [COLUMNS])
    assert [document.id for document in documents] == ["public:0", "public:1"]


def test_a_kind_without_a_reader_is_refused() -> None:
    with pytest.raises(ConfigError, match="not read from files"):
        load_corpus(DataConfig(kind="files", contract=CONTRACT))  # pyright: ignore[reportArgumentType]


def test_reading_loads_neither_torch_nor_datasets() -> None:
    code = (
        "import sys; from fedner.config import *; from fedner.data.loading import load_corpus\n"
        "contract = ContractConfig(types=dict(PER='', ORG='', LOC=''))\n"
        f"load_corpus(FilesData(contract=contract, train=[{COLUMNS!r}]), ())\n"
        "sys.exit(len({'torch', 'datasets', 'transformers', 'flwr'} & set(sys.modules)))"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.assets
def test_conll2003_has_its_published_size() -> None:
    contract = ContractConfig(types={name: "" for name in ("PER", "ORG", "LOC", "MISC")})
    loaded = load_with_reports(Conll2003Data(contract=contract))
    corpus = loaded.corpus
    # Tjong Kim Sang and De Meulder 2003, tables 1 and 2 (documents, sentences, entities)
    assert [len(corpus.split(split)) for split in SPLITS] == [946, 216, 231]
    assert [num_sentences(corpus.split(split)) for split in SPLITS] == [14_041, 3_250, 3_453]
    assert [sum(report.entities.values()) for report in loaded.reports] == [23_499, 5_942, 5_648]
    assert not any(report.repairs for report in loaded.reports)
    assert "Reuters" in corpus.notice
