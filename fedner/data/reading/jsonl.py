"""One JSON object a line: `tokens` with `tags`, or `text` with `spans`.

    {"id": "7", "tokens": ["Ada", "slept"], "tags": ["B-PER", "O"]}
    {"doc_id": "a", "text": "Ada slept.", "spans": [{"start": 0, "end": 3, "label": "PER"}], "metadata": {"ward": "3"}}

Rows with one `doc_id` (or `document`) that stand together are one document; without it, a row is a document, named by
its `id` if it has one. Spans count characters (Unicode code points, end excluded); each line of a text is a sentence.
Words of a text are found by `split_words`; a span that cuts a word is refused, never dropped or moved.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import cast

from fedner.data.labels import LabelContract, Span, suggestion, tags_of
from fedner.data.reading.lines import read_lines
from fedner.data.reading.source import MAX_SENTENCE_WORDS, RawDocument, RawSentence, ReadReport, too_long
from fedner.data.reading.words import split_words
from fedner.errors import DataError, LabelError

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a row stands, for refusals."""

    path: str
    line: int

    def error(self, message: str) -> DataError:
        return DataError(message, self.path, self.line)


def read_jsonl(
    path: str | Path, contract: LabelContract, report: ReadReport, encoding: str = "utf-8"
) -> Iterator[RawDocument]:
    """Yield the documents of a JSONL file; tags as written, spans as legal IOB2.

    Raises:
        DataError: as `read_lines`; a line is not a JSON object, lacks a field or has one of the wrong form; a span
            is outside the text, off a word boundary or overlaps another; there is no row at all.
        LabelError: a span's label is not in the contract.
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
            sentences += _from_text(row, contract, report, place) if "text" in row else _from_tokens(row, place)
        if sentences:
            yield RawDocument(identity, tuple(sentences), metadata)
        else:
            report.empty_documents += 1
    if number == 0:
        raise DataError("wanted one JSON object a line, found only blank lines; is this the right file?", path)


def _rows(path: str | Path, encoding: str) -> Iterator[tuple[_Place, Row]]:
    for number, line in read_lines(path, encoding):
        if not line.strip():
            continue
        place = _Place(str(path), number)
        try:
            row: object = json.loads(line)
        except RecursionError as error:
            raise place.error("wanted a JSON object, found one nested too deeply") from error
        except ValueError as error:
            hint = (
                "; the file is one JSON array, write one object a line instead" if line.lstrip().startswith("[") else ""
            )
            raise place.error(f"wanted one JSON object on this line, found invalid JSON ({error}){hint}") from error
        if not isinstance(row, dict):
            raise place.error(f"wanted a JSON object, found a {type(row).__name__}; write one object a line")
        if "\\ud" in line.lower():
            _refuse_surrogates(row, place)
        yield place, cast(Row, row)


def _refuse_surrogates(row: object, place: _Place) -> None:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise place.error(
            "wanted text, found half of a surrogate pair (\\ud800 to \\udfff); write the character"
        ) from error


def _document_id(row: Row) -> object:
    return row.get("doc_id", row.get("document"))


def _document_key(place: _Place, row: Row) -> tuple[int, str | None]:
    """Return what rows of one document share: its id, or the line of a row that stands alone."""
    for key, value in (("doc_id", _document_id(row)), ("id", row.get("id"))):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise place.error(f"{key}: wanted a name or a number, found {value!r}")
        return (0 if key == "doc_id" else place.line), str(value)
    return place.line, None


def _metadata(row: Row, place: _Place) -> dict[str, str]:
    metadata = row.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise place.error(f"metadata: wanted an object, found {type(metadata).__name__}")
    pairs = cast(dict[str, object], metadata)
    for key, value in pairs.items():
        if not isinstance(value, str | int | float | None):
            raise place.error(f"metadata.{key}: wanted a string or a number, found {type(value).__name__}")
    return {key: str(value) for key, value in pairs.items() if value is not None}


def _strings(row: Row, keys: Sequence[str], place: _Place) -> list[object]:
    """Return the list under the first of `keys` that the row has."""
    for key in keys:
        if key in row:
            value = row[key]
            if not isinstance(value, list):
                raise place.error(f"{key}: wanted a list, found {type(value).__name__}")
            return cast(list[object], value)
    found = ", ".join(row) or "no keys"
    raise place.error(f"wanted `tokens` and `tags`, or `text` and `spans`; found no `{keys[0]}` among {found}")


def _from_tokens(row: Row, place: _Place) -> list[RawSentence]:
    words = _strings(row, ("tokens", "words"), place)
    tags = _tag_names(_strings(row, ("tags", "ner_tags"), place), row, place)
    if len(words) != len(tags):
        raise place.error(f"wanted one tag a word, found {len(words)} tokens and {len(tags)} tags")
    if len(words) > MAX_SENTENCE_WORDS:
        raise too_long(place.path, place.line)
    for index, word in enumerate(words):
        if not isinstance(word, str) or not word.strip():
            raise place.error(f"tokens[{index}]: wanted a word, found {word!r}")
    return [RawSentence(tuple(cast(list[str], words)), tuple(tags), place.line)] if words else []


def _tag_names(tags: list[object], row: Row, place: _Place) -> list[str]:
    """Return tags as strings; numbers count only with the row's own `tag_names`."""
    names = row.get("tag_names")
    for index, tag in enumerate(tags):
        if isinstance(tag, bool) or not isinstance(tag, str | int):
            raise place.error(f"tags[{index}]: wanted a tag such as 'B-PER' or 'O', found {tag!r}")
        if isinstance(tag, int):
            if not isinstance(names, list):
                raise place.error(
                    f"tags[{index}]: wanted a tag such as 'B-PER' or 'O', found the number {tag}, whose meaning the "
                    "file does not say; write tags as strings, or give the row `tag_names`, the list they index"
                )
            if not 0 <= tag < len(cast(list[object], names)):
                raise place.error(
                    f"tags[{index}]: {tag} is outside `tag_names`, which has {len(cast(list[object], names))}"
                )
    return [tag if isinstance(tag, str) else str(cast(list[object], names)[cast(int, tag)]) for tag in tags]


def _from_text(row: Row, contract: LabelContract, report: ReadReport, place: _Place) -> list[RawSentence]:
    text = row["text"]
    if not isinstance(text, str):
        raise place.error(f"text: wanted a string, found {type(text).__name__}")
    words = split_words(text)
    spans = sorted(_span(span, text, contract, place) for span in _strings(row, ("spans", "entities"), place))
    for (_, end, label), (start, later_end, later) in pairwise(spans):
        if start < end:
            raise place.error(
                f"span {start}..{later_end} ({later}) overlaps the {label} that ends at {end}; "
                "IOB2 cannot say nested or overlapping entities, keep one of them"
            )
    tags = tags_of(_word_spans(spans, words, text, report, place), len(words))
    return list(_lines_of(text, words, tags, place))


def _span(span: object, text: str, contract: LabelContract, place: _Place) -> tuple[int, int, str]:
    """Check one span's form, and return (start, end, label) in characters of the text."""
    fields = cast(dict[str, object], span) if isinstance(span, dict) else {}
    start, end, label = fields.get("start"), fields.get("end"), fields.get("label", fields.get("type"))
    if not (type(start) is int and type(end) is int and isinstance(label, str)):
        raise place.error(f"spans: wanted {{'start': 0, 'end': 3, 'label': 'PER'}}, found {span!r:.200}")
    if label not in contract.type_names:
        raise LabelError(
            f"{place.path}:{place.line}: span {start}..{end} has the label {label!r}, which contract '{contract.name}' "
            f"does not list{suggestion(label, contract.type_names)}; it lists {', '.join(contract.type_names)}; "
            "add the type to the contract or rename it in the file"
        )
    if not 0 <= start < end <= len(text):
        raise place.error(
            f"span {start}..{end} ({label}) does not lie within the text of {len(text)} characters; "
            "offsets count characters from 0, the end is excluded (they may have been counted in bytes)"
        )
    return start, end, label


def _word_spans(
    spans: Sequence[tuple[int, int, str]],
    words: Sequence[tuple[int, int]],
    text: str,
    report: ReadReport,
    place: _Place,
) -> Iterator[Span]:
    """Yield the spans in words; both lists are sorted, so one pass over the words serves all spans."""
    starts = {start: index for index, (start, _) in enumerate(words)}
    ends = {end: index + 1 for index, (_, end) in enumerate(words)}
    for start, end, label in spans:
        inner = text[start:end]
        first = start + len(inner) - len(inner.lstrip())
        last = first + len(inner.strip())
        if first >= last:
            raise place.error(f"span {start}..{end} ({label}) holds only blanks; remove or move it")
        if "\n" in text[first:last] or "\r" in text[first:last]:
            raise place.error(
                f"span {start}..{end} ({label}) crosses the end of a line, and each line of a text is a sentence; "
                "replace the line break within the entity by a space"
            )
        if first not in starts or last not in ends:
            raise place.error(_cut(first, last, label, words, text))
        report.trimmed_spans += (first, last) != (start, end)
        yield Span(label, starts[first], ends[last])


def _cut(start: int, end: int, label: str, words: Sequence[tuple[int, int]], text: str) -> str:
    """Say which word a span cuts."""
    cut = next((word for word in words if word[0] < start < word[1] or word[0] < end < word[1]), None)
    found = (
        "starts or ends on an invisible character"
        if cut is None
        else (f"cuts the word {text[cut[0] : cut[1]]!r:.80} at {cut[0]}..{cut[1]}")
    )
    return (
        f"span {start}..{end} ({label}, {text[start:end]!r:.80}) {found}; move the span to the word's borders, "
        "or give `tokens` and `tags` split your own way"
    )


def _lines_of(text: str, words: Sequence[tuple[int, int]], tags: Sequence[str], place: _Place) -> Iterator[RawSentence]:
    """Yield a sentence for each line of the text that has words."""
    line_starts = [index + 1 for index, character in enumerate(text) if character in "\r\n"]
    first = 0
    for line_end in [*line_starts, len(text) + 1]:
        last = first
        while last < len(words) and words[last][0] < line_end:
            last += 1
        if last - first > MAX_SENTENCE_WORDS:
            raise too_long(place.path, place.line)
        if last > first:
            offsets = tuple(words[first:last])
            spelled = tuple(text[start:end] for start, end in offsets)
            yield RawSentence(spelled, tuple(tags[first:last]), place.line, offsets=offsets, exact=True)
        first = last
