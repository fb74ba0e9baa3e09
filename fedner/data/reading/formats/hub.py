"""Hugging Face data sets, by hub name or as a directory: rows with a list of words and a list of tags.

`datasets` takes seconds to import, so that only this file does, and only when a data set is opened.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, cast

from fedner.config import HubData
from fedner.config.suggesting import suggestion
from fedner.data.reading.source import MAX_SENTENCE_WORDS, RawDocument, RawSentence, ReadReport, Source, too_long
from fedner.errors import DataError


@dataclass(frozen=True)
class _Rows:
    """One split; `rows` iterates over plain dicts, `tag_names` are the names of a ClassLabel column."""

    place: str
    rows: Any
    tag_names: tuple[str, ...] | None
    config: HubData


@dataclass(frozen=True)
class HubSplit:
    """A source under fedner's name for the split; `place` has the data set's own."""

    split: str
    place: str
    source: Source


def open_splits(config: HubData) -> list[HubSplit]:
    """Return the sources of train, dev and test; line numbers of its refusals are row numbers, from 1.

    Raises:
        DataError: the data set cannot be had, or lacks a split or a column.
    """
    found = _open(config)
    names = {"train": config.train_split, "dev": config.dev_split, "test": config.test_split}
    rows = {split: _rows(found, split, name, config) for split, name in names.items()}
    return [HubSplit(split, found_rows.place, partial(_documents, found_rows)) for split, found_rows in rows.items()]


def _open(config: HubData) -> Mapping[str, Any]:
    """Return the data set's splits by name."""
    try:
        import datasets
    except ImportError as error:
        raise DataError("data=hub needs the package `datasets`; run `pip install datasets`", config.path) from error
    directory = Path(config.path)
    try:
        if (directory / "dataset_dict.json").is_file() or (directory / "state.json").is_file():
            found = datasets.load_from_disk(config.path)
        else:
            found = datasets.load_dataset(config.path, config.subset, revision=config.revision)
    except Exception as error:  # whatever the hub, the network or a foreign file can do to us
        reason = " ".join(str(error).split())[:300]
        raise DataError(
            f"the data set could not be opened ({type(error).__name__}: {reason}); check data.path, data.subset and "
            "data.revision; without network, write it once with `save_to_disk` elsewhere and name that directory",
            config.path,
        ) from error
    if isinstance(found, Mapping):
        return {str(name): rows for name, rows in cast(Mapping[object, Any], found).items()}
    return {config.train_split: found}


def _rows(found: Mapping[str, Any], split: str, name: str, config: HubData) -> _Rows:
    if name not in found:
        raise DataError(
            f"no split {name!r} (data.{split}_split){suggestion(name, found)}; got {', '.join(sorted(found))}",
            config.path,
        )
    rows = found[name]
    features: Mapping[str, Any] = rows.features
    knobs = {"words_column": config.words_column, "tags_column": config.tags_column}
    if config.document_column is not None:
        knobs["document_column"] = config.document_column
    for knob, column in knobs.items():
        if column not in features:
            raise DataError(
                f"no column {column!r} (data.{knob}){suggestion(column, features)}; got {', '.join(features)}",
                config.path,
            )
    names = getattr(getattr(features[config.tags_column], "feature", None), "names", None)
    return _Rows(f"{config.path}[{name}]", rows, None if names is None else tuple(names), config)


def _documents(split: _Rows, report: ReadReport) -> Iterator[RawDocument]:
    column = split.config.document_column
    report.document_marks = column is not None
    numbered = enumerate(split.rows, start=1)
    number = 0

    def key(numbered_row: tuple[int, dict[str, object]]) -> object:
        return numbered_row[0] if column is None else numbered_row[1][column]

    for identity, group in groupby(numbered, key=key):
        sentences: list[RawSentence] = []
        for number, row in group:
            sentence = _sentence(split, number, row)
            if sentence.words:
                sentences.append(sentence)
        if sentences:
            yield RawDocument(None if column is None else str(identity), tuple(sentences))
        else:
            report.empty_documents += 1
    if number == 0:
        raise DataError("expected rows, got an empty split", split.place)


def _sentence(split: _Rows, number: int, row: Mapping[str, object]) -> RawSentence:
    words, tags = row[split.config.words_column], row[split.config.tags_column]
    if not isinstance(words, list) or not isinstance(tags, list):
        raise DataError("expected a list of words and a list of tags; check data.words_column", split.place, number)
    words, tags = cast(list[object], words), cast(list[object], tags)
    if len(words) != len(tags):
        raise DataError(f"expected one tag a word, got {len(words)} words and {len(tags)} tags", split.place, number)
    if len(words) > MAX_SENTENCE_WORDS:
        raise too_long(split.place, number)
    for index, word in enumerate(words):
        if not isinstance(word, str) or not word.strip():
            raise DataError(f"word {index}: expected a word, got {word!r:.80}", split.place, number)
    names = tuple(_tag_name(split, number, tag) for tag in tags)
    return RawSentence(tuple(cast(list[str], words)), names, number)


def _tag_name(split: _Rows, number: int, tag: object) -> str:
    if isinstance(tag, str):
        return tag
    if split.tag_names is not None and isinstance(tag, int) and 0 <= tag < len(split.tag_names):
        return split.tag_names[tag]
    reason = "tags are numbers without names" if split.tag_names is None else f"names are {', '.join(split.tag_names)}"
    raise DataError(
        f"expected a tag as text or ClassLabel, got {tag!r:.80} ({reason}); "
        "cast the column with datasets.List(ClassLabel(names=[…])) or write tags as text",
        split.place,
        number,
    )
