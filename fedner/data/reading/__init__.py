"""Readers: files and data sets in the forms that people have -> documents with legal IOB2 tags."""

from fedner.data.reading.annotations import AnnotatedText, Annotation, SpanPolicy, to_sentences, words_of
from fedner.data.reading.detection import detect_format
from fedner.data.reading.documents import (
    ReadOptions,
    file_source,
    normalised,
    options_of,
    read_documents,
)
from fedner.data.reading.schemes import Illegal, detect_scheme, pairs_of, to_iob2
from fedner.data.reading.source import (
    MAX_SENTENCE_WORDS,
    Place,
    RawDocument,
    RawSentence,
    ReadReport,
    Source,
    SpanChange,
)
from fedner.data.reading.words import split_words

__all__ = [
    "MAX_SENTENCE_WORDS",
    "AnnotatedText",
    "Annotation",
    "Illegal",
    "Place",
    "RawDocument",
    "RawSentence",
    "ReadOptions",
    "ReadReport",
    "Source",
    "SpanChange",
    "SpanPolicy",
    "detect_format",
    "detect_scheme",
    "file_source",
    "normalised",
    "options_of",
    "pairs_of",
    "read_documents",
    "split_words",
    "to_iob2",
    "to_sentences",
    "words_of",
]
