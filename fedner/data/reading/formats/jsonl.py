"""One JSON object a line: `tokens` with `tags`, or `text` with `spans`.

    {"id": "7", "tokens": ["Ada", "slept"], "tags": ["B-PER", "O"]}
    {"doc_id": "a", "text": "Ada slept.", "spans": [{"start": 0, "end": 3, "label": "PER"}], "metadata": {"ward": "3"}}

Rows with one `doc_id` (or `document`) that stand together are one document; without it, a row is a document, named by
its `id` if it has one. Spans count characters (Unicode code points, end excluded); `annotations.py` makes words of
them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import cast

from fedner.data.labels import LabelSet
from fedner.data.reading.annotations import AnnotatedText, Annotation, SpanPolicy, spelled, to_sentences
from fedner.data.reading.lines import read_lines
from fedner.data.reading.source import MAX_SENTENCE_WORDS, Place, RawDocument, RawSentence, ReadReport, too_long
from fedner.errors import DataError

Row = Mapping[str, object]


def read_jsonl(
    path: str | Path,
    contract: LabelSet,
    report: ReadReport,
    policy: SpanPolicy | None = None,
    encoding: str = "utf-8",
) -> Iterator[RawDocument]:
    """Yield the documents of a JSONL file; tags as written, spans as legal IOB2.

    Raises:
        DataError: as `read_lines` and `to_sentences`; a line is not a JSON object, lacks a field or has one of the
        wrong form; there is no row at all. LabelError: a span's label is not in the contract.
    """
    rows = _rows(path, encoding)
    report.document_marks = False
    number = 0
    for (_, identity), group in groupby(rows, key=lambda row: _document_key(*row)):
        sentences: list[RawSentence] = []
        metadata: dict[str, str] = {}
        for place, row in group:
            number += 1
            report.document_marks |= _document_id(row) is not None
            metadata |= _metadata(row, place)
            if "text" in row:
                sentences += _from_text(row, contract, policy or SpanPolicy(), report, place)
            else:
                sentences += _from_tokens(row, place)
        if sentences:
            yield RawDocument(identity, tuple(sentences), metadata)
        else:
            report.empty_documents += 1
    if number == 0:
        raise DataError("expected one JSON object a line, got only blank lines; is this the right file?", path)


def read_jsonl_texts(path: str | Path, encoding: str = "utf-8") -> Iterator[AnnotatedText]:
    """Yield each row as a text of its own, without its annotations; `tokens` are put together with blanks.

    Raises:
        DataError: as `read_jsonl`.
    """
    for place, row in _rows(path, encoding):
        identity, metadata = _document_key(place, row)[1], _metadata(row, place)
        if "text" in row:
            yield AnnotatedText(identity, _text(row, place), (), place, metadata=metadata)
        else:
            text, words = spelled(_words(row, place))
            yield AnnotatedText(identity, text, (), place, words=words, metadata=metadata)


def _rows(path: str | Path, encoding: str) -> Iterator[tuple[Place, Row]]:
    for number, line in read_lines(path, encoding):
        if not line.strip():
            continue
        place = Place(str(path), number)
        try:
            row: object = json.loads(line)
        except RecursionError as error:
            raise place.error("expected a JSON object, got one nested too deeply") from error
        except ValueError as error:
            hint = (
                "; the file is one JSON array, write one object a line instead" if line.lstrip().startswith("[") else ""
            )
            raise place.error(f"expected one JSON object on this line, got invalid JSON ({error}){hint}") from error
        if not isinstance(row, dict):
            raise place.error(f"expected a JSON object, got a {type(row).__name__}; write one object a line")
        if "\\ud" in line.lower():
            _refuse_surrogates(row, place)
        yield place, cast(Row, row)


def _refuse_surrogates(row: object, place: Place) -> None:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise place.error(
            "expected text, got half of a surrogate pair (\\ud800 to \\udfff); write the character"
        ) from error


def _document_id(row: Row) -> object:
    return row.get("doc_id", row.get("document"))


def _document_key(place: Place, row: Row) -> tuple[int, str | None]:
    """Return what rows of one document share: its id, or the line of a row that stands alone."""
    for key, value in (("doc_id", _document_id(row)), ("id", row.get("id"))):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise place.error(f"{key}: expected a name or a number, got {value!r:.80}")
        return (0 if key == "doc_id" else place.line or 0), str(value)
    return place.line or 0, None


def _metadata(row: Row, place: Place) -> dict[str, str]:
    metadata = row.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise place.error(f"metadata: expected an object, got {type(metadata).__name__}")
    pairs = cast(dict[str, object], metadata)
    for key, value in pairs.items():
        if not isinstance(value, str | int | float | None):
            raise place.error(f"metadata.{key:.80}: expected a string or a number, got {type(value).__name__}")
    return {key: str(value) for key, value in pairs.items() if value is not None}


def _strings(row: Row, keys: Sequence[str], place: Place) -> list[object]:
    """Return the list under the first of `keys` that the row has."""
    for key in keys:
        if key in row:
            value = row[key]
            if not isinstance(value, list):
                raise place.error(f"{key}: expected a list, got {type(value).__name__}")
            return cast(list[object], value)
    found = ", ".join(row)[:200] or "no keys"
    raise place.error(f"expected `tokens` and `tags`, or `text` and `spans`; got no `{keys[0]}` among {found}")


def _from_tokens(row: Row, place: Place) -> list[RawSentence]:
    words = _words(row, place)
    tags = _tag_names(_strings(row, ("tags", "ner_tags"), place), row, place)
    if len(words) != len(tags):
        raise place.error(f"expected one tag a word, got {len(words)} tokens and {len(tags)} tags")
    if len(words) > MAX_SENTENCE_WORDS:
        raise too_long(place.path, place.line)
    return [RawSentence(tuple(words), tuple(tags), place.line or 1)] if words else []


def _words(row: Row, place: Place) -> list[str]:
    words = _strings(row, ("tokens", "words"), place)
    for index, word in enumerate(words):
        if not isinstance(word, str) or not word.strip():
            raise place.error(f"tokens[{index}]: expected a word, got {word!r:.80}")
    return cast(list[str], words)


def _tag_names(tags: list[object], row: Row, place: Place) -> list[str]:
    """Return tags as strings; numbers count only with the row's own `tag_names`."""
    names = row.get("tag_names")
    for index, tag in enumerate(tags):
        if isinstance(tag, bool) or not isinstance(tag, str | int):
            raise place.error(f"tags[{index}]: expected a tag such as 'B-PER' or 'O', got {tag!r:.80}")
        if isinstance(tag, int):
            if not isinstance(names, list):
                raise place.error(
                    f"tags[{index}]: expected a tag such as 'B-PER' or 'O', got the number {tag}, whose meaning the "
                    "file does not say; write tags as strings, or give the row `tag_names`, the list they index"
                )
            if not 0 <= tag < len(cast(list[object], names)):
                raise place.error(
                    f"tags[{index}]: {tag} is outside `tag_names`, which has {len(cast(list[object], names))}"
                )
    return [tag if isinstance(tag, str) else str(cast(list[object], names)[cast(int, tag)]) for tag in tags]


def _from_text(
    row: Row, contract: LabelSet, policy: SpanPolicy, report: ReadReport, place: Place
) -> Sequence[RawSentence]:
    spans = tuple(_span(span, place) for span in _strings(row, ("spans", "entities"), place))
    return to_sentences(AnnotatedText(None, _text(row, place), spans, place), contract, policy, report).sentences


def _text(row: Row, place: Place) -> str:
    text = row["text"]
    if not isinstance(text, str):
        raise place.error(f"text: expected a string, got {type(text).__name__}")
    return text


def _span(span: object, place: Place) -> Annotation:
    """Check one span's form."""
    fields = cast(dict[str, object], span) if isinstance(span, dict) else {}
    start, end, label = fields.get("start"), fields.get("end"), fields.get("label", fields.get("type"))
    if not (type(start) is int and type(end) is int and isinstance(label, str)):
        raise place.error(f"spans: expected {{'start': 0, 'end': 3, 'label': 'PER'}}, got {span!r:.200}")
    return Annotation(label, ((start, end),), place)
