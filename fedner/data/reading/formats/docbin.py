"""spaCy's DocBin (`.spacy`): the only file that imports spaCy, and only when a DocBin is read.

A DocBin is compressed msgpack in which words and labels are hashes. spaCy is needed for one thing, to turn the hashes
of words and labels back into strings; the arrays are taken apart here and checked, since spaCy itself trusts them. The
words are spaCy's tokens, except those of blanks. Nothing is unpickled, and user data is never looked at.

Source: https://spacy.io/api/docbin
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fedner.data.reading.annotations import AnnotatedText, Annotation, Characters
from fedner.data.reading.json_values import whole
from fedner.data.reading.source import Place, ReadReport
from fedner.errors import DataError

MAX_BYTES = 1024 * 1024 * 1024
"""The largest DocBin, unpacked; a few kilobytes of zeros would unpack into more."""

# Numbers that spaCy gives the columns of the token array (spacy.attrs).
_ORTH, _ENT_IOB, _ENT_TYPE = 65, 77, 78
_MISSING, _INSIDE, _OUTSIDE, _BEGIN = range(4)


@dataclass(frozen=True, slots=True)
class _Bin:
    """The arrays of a DocBin, checked against each other."""

    tokens: NDArray[np.uint64]
    """Shape (tokens, columns)."""
    spaces: NDArray[np.bool_]
    """Whether a blank follows the token; shape (tokens,)."""
    lengths: NDArray[np.int32]
    """Tokens of each document; shape (documents,)."""
    columns: tuple[int, ...]
    strings: Any
    """spaCy's StringStore: hash -> string."""


def read_docbin(path: str | Path, encoding: str, report: ReadReport) -> Iterator[AnnotatedText]:
    """Yield the documents; `line` in refusals is a document's number, from 1. The file has no character encoding.

    Raises:
        DataError: spaCy is not installed; the file is unreadable or no DocBin, or names a string that it does not hold.
    """
    found = _open(path)
    ends = np.cumsum(found.lengths)
    for number, (end, length) in enumerate(zip(ends.tolist(), found.lengths.tolist(), strict=True), start=1):
        if length:
            yield _document(found, end - length, end, Place(str(path), number))
        else:
            report.empty_documents += 1


def _document(found: _Bin, start: int, end: int, place: Place) -> AnnotatedText:
    orths, iobs, labels = (found.tokens[start:end, found.columns.index(name)] for name in (_ORTH, _ENT_IOB, _ENT_TYPE))
    text = ""
    places: list[Characters] = []
    parts: list[str] = []
    length = 0
    for orth, space in zip(orths.tolist(), found.spaces[start:end].tolist(), strict=True):
        word = _string(found, orth, place)
        places.append((length, length + len(word)))
        parts += [word, " "] if space else [word]
        length += len(word) + space
    text = "".join(parts)
    spans: list[Annotation] = []
    for index, (iob, label) in enumerate(zip(iobs.tolist(), labels.tolist(), strict=True)):
        if iob not in (_MISSING, _INSIDE, _OUTSIDE, _BEGIN):
            raise place.error(f"token {index}: expected a position in an entity (0 to 3), got {iob}")
        if iob == _BEGIN and label:
            token = place.within(f"token {index}")
            spans.append(Annotation(_string(found, label, place), (places[index],), token))
        elif iob == _INSIDE:
            if not spans or index == 0 or iobs[index - 1] not in (_INSIDE, _BEGIN):
                raise place.error(f"token {index}: is inside an entity that does not begin; was the DocBin damaged?")
            last = spans[-1]
            spans[-1] = Annotation(last.label, ((last.pieces[0][0], places[index][1]),), last.place)
    words = tuple(each for each in places if text[each[0] : each[1]].strip())
    return AnnotatedText(None, text, tuple(spans), place, words=words)


def _string(found: _Bin, key: int, place: Place) -> str:
    try:
        return whole(found.strings[key], place)
    except (KeyError, OverflowError) as error:
        raise place.error(f"names a string ({key}) that the file does not hold; was the DocBin damaged?") from error


def _open(path: str | Path) -> _Bin:
    packed = _unpacked(path)
    try:
        import msgpack
        from spacy.strings import StringStore  # pyright: ignore[reportMissingImports]: an optional extra
    except ImportError as error:
        raise DataError(
            "reading a DocBin needs spaCy; run `pip install 'fedner[spacy]'`, or export JSON", path
        ) from error
    try:
        content: Any = msgpack.unpackb(packed, strict_map_key=False)
        return _checked(cast(Mapping[str, Any], content), StringStore)
    except DataError:
        raise
    except RecursionError as error:
        raise DataError("expected a DocBin, got one nested too deeply", path) from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, msgpack.UnpackException) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(
            f"expected a DocBin of spaCy 3, got something else ({type(error).__name__}: {reason}); was it written with "
            "DocBin.to_disk and the attributes ENT_IOB and ENT_TYPE?",
            path,
        ) from error


def _checked(content: Mapping[str, Any], string_store: Any) -> _Bin:
    """Take the arrays out; whatever does not fit ends in a ValueError, TypeError or KeyError."""
    columns = tuple(int(column) for column in content["attrs"])
    missing = {_ORTH, _ENT_IOB, _ENT_TYPE}.difference(columns)
    if missing:
        raise ValueError(f"no columns {sorted(missing)} among {len(columns)}")
    lengths = np.frombuffer(content["lengths"], dtype=np.int32)
    spaces = np.frombuffer(content["spaces"], dtype=np.uint8).astype(bool)
    tokens = np.frombuffer(content["tokens"], dtype=np.uint64).reshape(-1, len(columns))
    if (lengths < 0).any() or lengths.sum(dtype=np.int64) != len(tokens) or len(spaces) != len(tokens):
        raise ValueError(f"{len(tokens)} tokens, {len(spaces)} blanks, lengths that do not add up to them")
    strings = list(content["strings"])
    if not all(isinstance(string, str) for string in strings):
        raise ValueError("strings that are not text")
    flags = content.get("flags") or [{}] * len(lengths)
    unknown = [bool(flag.get("has_unknown_spaces")) for flag in flags]
    if len(unknown) != len(lengths):
        raise ValueError(f"{len(unknown)} flags for {len(lengths)} documents")
    spaces = spaces | np.repeat(np.array(unknown, dtype=bool), lengths)
    return _Bin(tokens, spaces, lengths, columns, string_store(strings))


def _unpacked(path: str | Path) -> bytes:
    """Return the decompressed content, of bounded size."""
    try:
        packed = Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            f"the file cannot be read ({error.strerror}); check the path and its permissions", path
        ) from error
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed, MAX_BYTES)
    except zlib.error as error:
        raise DataError("expected a DocBin, got a file that is not compressed as one; was it cut off?", path) from error
    if unpacker.unconsumed_tail:
        raise DataError(f"expected a DocBin of at most {MAX_BYTES:,} bytes unpacked, got more; split it", path)
    if not unpacker.eof:
        raise DataError("expected a DocBin, got one that is cut off", path)
    return content
