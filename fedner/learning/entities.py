"""Entities in running text: what `fedner predict` writes and `fedner.predict` returns."""

from collections.abc import Iterable, Iterator
from itertools import islice

from fedner.config import TrainingConfig
from fedner.data.reading import AnnotatedText
from fedner.data.writing import MarkedText, as_document, mark
from fedner.learning.inference import predict_documents
from fedner.learning.model import Tagger

TEXTS_AT_ONCE = 256
"""Texts that are predicted together, which bounds what is held in memory."""


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
