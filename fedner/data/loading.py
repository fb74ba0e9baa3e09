"""A data configuration -> the corpus that it means."""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fedner.assets import CONLL2003_NOTICE, ensure_corpus
from fedner.config import (
    AtSitesData,
    Conll2003Data,
    DataConfig,
    FilesData,
    HubData,
    SitesData,
    SyntheticData,
    TextFilesData,
)
from fedner.config.suggesting import suggestion
from fedner.data import synthetic
from fedner.data.corpus import SPLITS, Corpus, Document
from fedner.data.exclusion import leave_out
from fedner.data.labels import LabelContract, LabelSet, contract_from_config
from fedner.data.reading import ReadOptions, ReadReport, normalised, options_of, read_documents
from fedner.data.reading.formats.hub import HubSplit, open_splits
from fedner.errors import ConfigError, DataError
from fedner.seeding import generator

_COLUMN_SUFFIXES = (".conll", ".txt", ".tsv", ".bio", ".iob", ".iob2")
CORPUS_SUFFIXES = (*_COLUMN_SUFFIXES, ".jsonl", ".ndjson", ".json", ".xml", ".pubtator", ".spacy")
_LOG = logging.getLogger(__name__)
_CONLL2003_FILES = {"train": "train.txt", "dev": "valid.txt", "test": "test.txt"}


@dataclass(frozen=True)
class NamedFile:
    """A file to read: the split it belongs to, what its document ids start with, and metadata for each document."""

    path: Path
    split: str
    name: str
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Piece:
    """A part of a corpus that is read in one go; `report` is complete once `documents` is exhausted."""

    split: str
    report: ReadReport
    documents: Iterator[Document]


@dataclass(frozen=True)
class LoadedCorpus:
    """A corpus and what was found while reading each of its files."""

    corpus: Corpus
    reports: tuple[ReadReport, ...]


def load_corpus(config: DataConfig, require: Sequence[str] = SPLITS) -> Corpus:
    """Read the corpus that `config` describes, and log how many tags and spans had to be changed.

    Args:
        require: splits that must not be empty.

    Raises:
        DataError: a file is missing or wrong, or a required split is empty.
        LabelError: a tag or the contract itself does not fit.
        AssetError: CoNLL-2003 cannot be had.
    """
    loaded = load_with_reports(config, require)
    for report in loaded.reports:
        log_changes(report)
    return loaded.corpus


def log_changes(report: ReadReport) -> None:
    """Log how many tags and spans of a file had to be changed."""
    if report.repairs:
        counts = ", ".join(f"{kind} {number}" for kind, number in sorted(report.repairs.items()))
        _LOG.warning("%s: repaired illegal %s tags: %s", report.path, report.scheme.upper(), counts)
    for line in report.lossy():
        _LOG.warning("%s: %s", report.path, line)


def load_with_reports(config: DataConfig, require: Sequence[str] = SPLITS) -> LoadedCorpus:
    """Read the corpus, and return with it one report a file (a split, for hub data sets); raises as `load_corpus`."""
    contract = contract_from_config(config.contract, config.contract_file)
    if isinstance(config, SyntheticData):
        pieces, corpus = [], synthetic.generate(config, contract)
    else:
        pieces = open_pieces(config, contract)
        corpus = _collect(pieces, config, contract)
    corpus = _without_excluded(corpus, config)
    corpus = replace(
        corpus,
        train=sample(corpus.train, config.train_sentences, config.sample_seed, "train"),
        dev=sample(corpus.dev, config.dev_sentences, config.sample_seed, "dev"),
    )
    for split in require:
        if not corpus.split(split):
            raise DataError(
                f"expected documents in the {split} split of '{corpus.name}', got none; {_remedy(config, split)}"
            )
    return LoadedCorpus(corpus, tuple(piece.report for piece in pieces))


def load_files(config: DataConfig, paths: Sequence[str], name: str = "public") -> tuple[Document, ...]:
    """Read further files as `config` says of its own: same contract, scheme and columns.

    Raises:
        DataError: a file is missing or wrong.
        LabelError: a tag does not fit.
    """
    contract = contract_from_config(config.contract, config.contract_file)
    files = _split_files(paths, name)
    return tuple(document for file in files for document in _documents(file, contract, _options(config)))


def corpus_files(config: Conll2003Data | FilesData | SitesData) -> list[NamedFile]:
    """Return the files that the corpus consists of, in a fixed order.

    Raises:
        DataError: a folder or a file of a site is missing.
        ConfigError: no file is named, or a site is named twice.
        AssetError: CoNLL-2003 cannot be had.
    """
    match config:
        case Conll2003Data():
            folder = ensure_corpus("conll2003")
            return [NamedFile(folder / name, split, split) for split, name in _CONLL2003_FILES.items()]
        case FilesData():
            paths = {"train": config.train, "dev": config.dev, "test": config.test}
            files = [file for split in SPLITS for file in _split_files(paths[split], split)]
            if not files:
                raise ConfigError("data: expected files, got none; set data.train, data.dev and data.test")
            return files
        case SitesData():
            return _site_files(config)


def sample(documents: Sequence[Document], num_sentences: int | None, seed: int, split: str) -> tuple[Document, ...]:
    """Keep seeded random whole documents, in corpus order, until there are `num_sentences` sentences.

    Raises:
        ConfigError: there are fewer sentences than that.
    """
    if num_sentences is None:
        return tuple(documents)
    kept: list[int] = []
    have = 0
    for index in generator(seed, f"sample {split}").permutation(len(documents)).tolist():
        if have >= num_sentences:
            break
        kept.append(index)
        have += len(documents[index].sentences)
    if have < num_sentences:
        raise ConfigError(
            f"data.{split}_sentences: expected at most {have}, all there are, got {num_sentences}; null keeps them all"
        )
    return tuple(documents[index] for index in sorted(kept))


def open_pieces(config: DataConfig, contract: LabelSet, dropped: Collection[str] = ()) -> list[Piece]:
    """Return the files of the corpus (splits of a hub data set), not read yet.

    Args:
        dropped: types that the caller will make nothing of, so that they stand in no other entity's way.

    Raises:
        DataError: a file, a folder, the data set or one of its splits cannot be found.
        ConfigError: no file is named, or one twice.
        AssetError: CoNLL-2003 cannot be had.
    """
    match config:
        case HubData():
            return [_hub_piece(config, contract, split) for split in open_splits(config)]
        case Conll2003Data() | FilesData() | SitesData():
            options = _options(config)
            options = replace(options, spans=replace(options.spans, dropped=frozenset(dropped)))
            return [_file_piece(file, contract, options) for file in corpus_files(config)]
        case AtSitesData():
            raise ConfigError(
                "data.kind: at_sites has its text at the sites of a real federation, where `fedner submit` runs it; "
                "a simulation wants its text here, as data=sites does"
            )
        case _:
            raise ConfigError(f"data.kind: {config.kind} is not read from files")


def _collect(pieces: Sequence[Piece], config: DataConfig, contract: LabelContract) -> Corpus:
    splits: dict[str, list[Document]] = {split: [] for split in SPLITS}
    for piece in pieces:
        splits[piece.split] += piece.documents
    train, dev, test = (tuple(splits[split]) for split in SPLITS)
    notice = CONLL2003_NOTICE if isinstance(config, Conll2003Data) else ""
    return Corpus(corpus_name(config), contract, train, dev, test, notice)


def _without_excluded(corpus: Corpus, config: DataConfig) -> Corpus:
    remaining = leave_out({split: corpus.split(split) for split in SPLITS}, config.exclude_documents)
    notice = " ".join(each for each in (corpus.notice, remaining.notice) if each)
    train, dev, test = (remaining.documents[split] for split in SPLITS)
    return replace(corpus, train=train, dev=dev, test=test, notice=notice, left_out=remaining.left_out)


def corpus_name(config: DataConfig) -> str:
    """Return what the corpus is called in reports."""
    match config:
        case SitesData():
            return Path(config.root).name
        case HubData():
            return config.path
        case _:
            return str(config.kind)


def _file_piece(file: NamedFile, contract: LabelSet, options: ReadOptions) -> Piece:
    report = ReadReport(str(file.path))
    return Piece(file.split, report, _documents(file, contract, options, report))


def _hub_piece(config: HubData, contract: LabelSet, split: HubSplit) -> Piece:
    report = ReadReport(split.place, format="hub")
    documents = normalised(split.source, contract, config.scheme, config.on_illegal, report)
    return Piece(split.split, report, (replace(document, id=f"{split.split}:{document.id}") for document in documents))


def _documents(
    file: NamedFile, contract: LabelSet, options: ReadOptions, report: ReadReport | None = None
) -> Iterator[Document]:
    for document in read_documents(file.path, contract, options, report, file.name):
        yield replace(document, metadata={**document.metadata, **dict(file.metadata)}) if file.metadata else document


def _options(config: DataConfig) -> ReadOptions:
    if isinstance(config, TextFilesData):
        return options_of(config)
    return ReadOptions(scheme=config.scheme, on_illegal=config.on_illegal)


def _split_files(paths: Sequence[str], split: str) -> list[NamedFile]:
    """Name the files of one split; several are numbered, as their own names need not differ."""
    if len(set(paths)) < len(paths):
        raise ConfigError(f"data.{split}: a file is listed twice in {', '.join(paths)}")
    names = [split] if len(paths) == 1 else [f"{split}/{number}" for number in range(len(paths))]
    return [NamedFile(Path(path), split, name) for path, name in zip(paths, names, strict=True)]


def _site_files(config: SitesData) -> list[NamedFile]:
    root = Path(config.root)
    if not root.is_dir():
        raise DataError("no such folder; data.root names the folder that holds one sub-folder per site", root)
    folders = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    named = [*config.sites, *config.unseen]
    for name in named:
        if name not in folders:
            found = ", ".join(folders) or "no folders"
            raise DataError(f"no folder for site {name!r}{suggestion(name, folders)}; got {found}", root)
        if named.count(name) > 1:
            raise ConfigError(f"data.sites, data.unseen: site {name!r} is named twice; a site takes part or is unseen")
    taking_part = sorted(config.sites) or [name for name in folders if name not in config.unseen]
    if not taking_part:
        raise DataError("expected at least one site's folder, got none", root)
    files = [_site_file(root / site, split, (("site", site),)) for site in taking_part for split in SPLITS]
    unseen = [_site_file(root / site, "test", (("site", site), ("unseen", "yes"))) for site in sorted(config.unseen)]
    return files + unseen


def _site_file(folder: Path, split: str, metadata: tuple[tuple[str, str], ...]) -> NamedFile:
    """Return the one file of a site and split."""
    found = sorted(path for path in folder.glob(f"{split}.*") if path.suffix.lower() in CORPUS_SUFFIXES)
    if (folder / split).is_dir():
        found.append(folder / split)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise DataError(
            f"expected one file {split}.* ({', '.join(CORPUS_SUFFIXES)}) or one folder {split} of BRAT files, "
            f"got {names}",
            folder,
        )
    return NamedFile(found[0], split, f"{folder.name}/{split}", metadata)


def _remedy(config: DataConfig, split: str) -> str:
    if isinstance(config, FilesData):
        return f"set data.{split}"
    if isinstance(config, HubData):
        return f"set data.{split}_split to a split that has rows"
    return "look at the files of that split"
