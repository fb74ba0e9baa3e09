"""A source's text together with the tags that its words were given: what every writer takes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from fedner.data.corpus import Document, Sentence
from fedner.data.labels import EntityType, LabelContract, spans_of
from fedner.data.reading import AnnotatedText, ReadReport, SpanPolicy, to_sentences
from fedner.errors import DataError

_NO_CONTRACT = LabelContract("none", 1, (EntityType("none"),))


class Entity(NamedTuple):
    """An entity: characters `start` (included) to `end` (excluded) of the source's text."""

    label: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A text as it was read, and its words with tags and offsets."""

    source: AnnotatedText
    sentences: tuple[Sentence, ...]

    def entities(self) -> Iterator[Entity]:
        """Yield the entities in the order of the text."""
        for sentence in self.sentences:
            for span in spans_of(sentence.tags):
                offsets = sentence.offsets or ()
                yield Entity(span.type, offsets[span.start][0], offsets[span.end - 1][1])


def as_document(text: AnnotatedText, number: int) -> Document:
    """Return a text's words as a document without entities, to be predicted.

    Raises:
        DataError: a sentence is too long.
    """
    bare = AnnotatedText(text.id, text.text, (), text.place, text.parts, text.words)
    raw = to_sentences(bare, _NO_CONTRACT, SpanPolicy(), ReadReport(text.place.path))
    sentences = tuple(Sentence(sentence.words, sentence.tags, sentence.offsets) for sentence in raw.sentences)
    return Document(str(number) if text.id is None else text.id, sentences)


def mark(text: AnnotatedText, document: Document) -> MarkedText:
    """Return the text with a document's tags.

    Raises:
        DataError: the document's words are not words of this text.
    """
    for sentence in document.sentences:
        offsets = sentence.offsets or ()
        if tuple(text.text[start:end] for start, end in offsets) != sentence.words:
            raise DataError("the tagged words are not those of the text", text.place.path, text.place.line)
    return MarkedText(text, document.sentences)
