"""Readers: files and data sets in the forms that people have -> documents with legal IOB2 tags."""

from fedner.data.reading.documents import (
    ReadOptions,
    detect_format,
    file_source,
    normalised,
    options_of,
    read_documents,
)
from fedner.data.reading.schemes import Illegal, detect_scheme, pairs_of, to_iob2
from fedner.data.reading.source import MAX_SENTENCE_WORDS, RawDocument, RawSentence, ReadReport, Source
from fedner.data.reading.words import split_words

__all__ = [
    "MAX_SENTENCE_WORDS",
    "Illegal",
    "RawDocument",
    "RawSentence",
    "ReadOptions",
    "ReadReport",
    "Source",
    "detect_format",
    "detect_scheme",
    "file_source",
    "normalised",
    "options_of",
    "pairs_of",
    "read_documents",
    "split_words",
    "to_iob2",
]
