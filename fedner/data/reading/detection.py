"""Detects the format of a file and picks its reader.

| format | recognised by |
| --- | --- |
| BRAT | a folder with `.ann` files, a `.ann` file, a `.txt` file with a `.ann` beside it |
| DocBin | the suffix `.spacy` |
| BioC XML | the suffix `.xml`, or a first character `<` |
| PubTator | the suffix `.pubtator`, or a first line `id|t|title` |
| BioC JSON, Label Studio, spaCy JSON, doccano, JSONL | a first `{`, or the suffix, then the first document's keys |
| CoNLL | what is none of these |
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import cast

from fedner.config import TextFormat
from fedner.data.reading.annotations import AnnotatedText
from fedner.data.reading.formats.bioc import BIOC_COLLECTIONS, read_bioc_json
from fedner.data.reading.formats.bioc_xml import read_bioc_xml
from fedner.data.reading.formats.brat import is_brat, read_brat
from fedner.data.reading.formats.docbin import read_docbin
from fedner.data.reading.formats.doccano import read_doccano
from fedner.data.reading.formats.label_studio import read_label_studio
from fedner.data.reading.formats.pubtator import TEXT_LINE, read_pubtator
from fedner.data.reading.formats.spacy_json import read_spacy_json
from fedner.data.reading.json_values import read_values
from fedner.data.reading.lines import MAX_FILE_BYTES, read_lines
from fedner.data.reading.source import ReadReport
from fedner.errors import DataError

TextReader = Callable[[str | Path, str, ReadReport], Iterator[AnnotatedText]]
TEXT_READERS: Mapping[TextFormat, TextReader] = {
    TextFormat.brat: read_brat,
    TextFormat.bioc_json: read_bioc_json,
    TextFormat.bioc_xml: read_bioc_xml,
    TextFormat.pubtator: read_pubtator,
    TextFormat.doccano: read_doccano,
    TextFormat.label_studio: read_label_studio,
    TextFormat.spacy_json: read_spacy_json,
    TextFormat.docbin: read_docbin,
}
"""Formats of running text with annotated characters; JSONL can be one of words with tags as well."""

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
SUFFIXES = {".spacy": TextFormat.docbin, ".xml": TextFormat.bioc_xml, ".pubtator": TextFormat.pubtator}


def detect_format(path: str | Path, encoding: str = "utf-8") -> TextFormat:
    """Return the format by suffix and beginning (module docstring).

    Raises:
        DataError: as `read_lines`; a folder has no BRAT files.
    """
    place = Path(path)
    if is_brat(place):
        return TextFormat.brat
    if place.is_dir():
        raise DataError(
            "expected a file, or a folder of BRAT .txt and .ann files, got a folder with no .ann in it", path
        )
    suffix = place.suffix.lower()
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    first = next(
        (line for _, line in read_lines(path, encoding, max_line_bytes=MAX_FILE_BYTES) if line.strip()), ""
    ).lstrip()
    if first.startswith("<") and suffix not in JSON_SUFFIXES:
        return TextFormat.bioc_xml
    if TEXT_LINE.fullmatch(first):
        return TextFormat.pubtator
    if suffix in JSON_SUFFIXES or first.startswith("{"):
        return _json_format(_first_value(first, path, encoding))
    return TextFormat.conll


def _first_value(first_line: str, path: str | Path, encoding: str) -> object:
    """Return the first document: of the first line, if that is JSON by itself, else of the file."""
    try:
        value: object = json.loads(first_line)
    except (ValueError, RecursionError):
        try:
            return next(read_values(path, encoding=encoding)).value
        except (DataError, StopIteration):
            return None  # the reader that is tried then says what is wrong, and where
    return cast(list[object], value)[0] if isinstance(value, list) and value else value


def _json_format(value: object) -> TextFormat:
    """Return the format whose keys the first document has."""
    if isinstance(value, list):
        return TextFormat.spacy_json
    keys = cast(Mapping[str, object], value) if isinstance(value, dict) else {}
    if "passages" in keys or any(isinstance(keys.get(key), list) for key in BIOC_COLLECTIONS):
        return TextFormat.bioc_json
    if isinstance(keys.get("data"), dict) or "lead_time" in keys:
        return TextFormat.label_studio
    if "paragraphs" in keys or "ents" in keys or _first_of(keys.get("annotations"), list):
        return TextFormat.spacy_json
    labels = keys.get("label", keys.get("labels"))
    if "text" in keys and isinstance(labels, list):
        return TextFormat.label_studio if _first_of(labels, dict) else TextFormat.doccano
    entity = _first_of(keys.get("entities"), dict)
    return TextFormat.doccano if entity and "start_offset" in cast(dict[str, object], entity) else TextFormat.jsonl


def _first_of(value: object, kind: type) -> object:
    """Return the first value of a list if it is of that kind, else None."""
    first = cast(list[object], value)[0] if isinstance(value, list) and value else None
    return first if isinstance(first, kind) else None
