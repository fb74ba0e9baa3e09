"""Entities in running text: what `fedner predict` writes and `fedner.predict` returns."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

import numpy as np

from fedner.config import Precision, TrainingConfig
from fedner.data.labels import spans_of
from fedner.data.reading import AnnotatedText, Place
from fedner.data.writing import MarkedText, as_document, mark
from fedner.learning.inference import log_probabilities, predict_documents, predict_tags
from fedner.learning.tagger.model import Tagger

TEXTS_AT_ONCE = 256
"""Texts that are predicted together, which bounds what is held in memory."""


class FoundEntity(NamedTuple):
    """An entity that a model found in a text."""

    start: int
    """First character."""
    end: int
    """One past the last character."""
    label: str
    text: str
    score: float
    """Mean over its words of the probability of the tag that each was given, in (0, 1]; as the `score` that
    `transformers.pipeline` returns with aggregation_strategy="first"."""


def mark_texts(tagger: Tagger, texts: Iterable[AnnotatedText], config: TrainingConfig) -> Iterator[MarkedText]:
    """Yield the texts with predicted entities, in their order.

    Raises:
        DataError: a sentence is too long.
    """
    rest = iter(texts)
    while batch := list(islice(rest, TEXTS_AT_ONCE)):
        documents = tuple(as_document(text, number) for number, text in enumerate(batch))
        for text, document in zip(batch, predict_documents(tagger, documents, config), strict=True):
            yield mark(text, document)


def find_entities(tagger: Tagger, texts: Iterable[str], config: TrainingConfig) -> Iterator[list[FoundEntity]]:
    """Yield the entities of each text, in the order of the text; always in float32, as `mark_texts` predicts.

    Raises:
        DataError: a sentence is too long.
    """
    exact = replace(config, precision=Precision.fp32)
    rest = iter(texts)
    while batch := list(islice(rest, TEXTS_AT_ONCE)):
        sources = [AnnotatedText(None, text, (), Place("text", number)) for number, text in enumerate(batch, start=1)]
        encoded = tagger.encode(tuple(as_document(source, number) for number, source in enumerate(sources)))
        tags = iter(predict_tags(tagger, encoded, exact))
        believed = log_probabilities(tagger, encoded, exact, np.arange(encoded.num_windows))
        certainty = np.exp(believed.max(axis=1))  # of each word
        first = 0
        for text, document in zip(batch, encoded.documents, strict=True):
            found: list[FoundEntity] = []
            for sentence in document.sentences:
                offsets = sentence.offsets or ()
                for span in spans_of(next(tags)):
                    start, end = offsets[span.start][0], offsets[span.end - 1][1]
                    sure = float(certainty[first + span.start : first + span.end].mean(dtype=np.float64))
                    found.append(FoundEntity(start, end, span.type, text[start:end], sure))
                first += len(sentence.words)
            yield found
