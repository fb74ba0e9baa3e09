"""Texts to be predicted, from every format of running text, with the offsets that its annotations would have."""

from collections.abc import Iterator
from pathlib import Path

from fedner.config import TextFormat
from fedner.data.reading.annotations import AnnotatedText
from fedner.data.reading.detection import JSON_SUFFIXES, SUFFIXES, TEXT_READERS, detect_format
from fedner.data.reading.formats.brat import is_brat, read_folder_texts
from fedner.data.reading.formats.jsonl import read_jsonl_texts
from fedner.data.reading.lines import read_exact, read_lines
from fedner.data.reading.source import Place, ReadReport
from fedner.errors import DataError


def read_texts(
    path: str | Path, form: TextFormat = TextFormat.auto, encoding: str = "utf-8"
) -> Iterator[AnnotatedText]:
    """Yield the documents of a file or folder; annotations are ignored.

    With `auto` a folder is its `.txt` files, each a document; a suffix that `formats.py` knows says the format; of any
    other file each line is a document.

    Raises:
        DataError: as the format's reader; the format has words and tags alone.
    """
    place = Path(path)
    if place.is_dir():
        yield from read_folder_texts(place, encoding)
        return
    if form is TextFormat.auto:
        if place.suffix.lower() not in (*JSON_SUFFIXES, *SUFFIXES):
            yield from _lines(place, encoding)
            return
        form = detect_format(place, encoding)
    if form is TextFormat.conll:
        raise DataError(
            "expected running text, got columns of words; give their text, or score them with evaluate", path
        )
    if form is TextFormat.jsonl:
        yield from read_jsonl_texts(place, encoding)
    elif form is TextFormat.brat and not is_brat(place):
        yield AnnotatedText(place.stem, read_exact(place, encoding), (), Place(str(place), 1))
    else:
        yield from TEXT_READERS[form](place, encoding, ReadReport(str(place)))


def _lines(path: Path, encoding: str) -> Iterator[AnnotatedText]:
    if path.is_file() and path.stat().st_size == 0:
        return  # nothing to predict in it is no error, as it is of a corpus
    for number, line in read_lines(path, encoding):
        yield AnnotatedText(None, line, (), Place(str(path), number))
