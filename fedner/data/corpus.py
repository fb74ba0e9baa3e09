"""Documents and what holds them: a `Shard` is one site's text, a `Corpus` what a study starts from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fedner.data.labels import LabelContract

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words with one legal IOB2 tag each; `offsets` are (start, end) characters in the source, where it has them."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    offsets: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """The unit that is never cut: partitions and resampling work on whole documents.

    `unannotated` are the contract types that are not annotated in it, so that an `O` may hide one; a document is
    annotated by one guideline throughout. Training and scoring go by it, whoever the text is pooled with.
    """

    id: str
    sentences: tuple[Sentence, ...]
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    unannotated: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shard:
    """One site's documents; the three splits are disjoint."""

    site: str
    train: tuple[Document, ...]
    dev: tuple[Document, ...]
    test: tuple[Document, ...]

    def split(self, name: str) -> tuple[Document, ...]:
        """Return the documents of `train`, `dev` or `test`."""
        return {"train": self.train, "dev": self.dev, "test": self.test}[name]

    def unannotated(self, split: str) -> tuple[str, ...]:
        """Return the types that no document of a split annotates, which it can say nothing about; none for no text."""
        return unannotated_everywhere(self.split(split))


@dataclass(frozen=True)
class Corpus:
    """Pooled text under one label contract; `notice` is shown to the user, such as its licence.

    `left_out` counts, by split, the documents that `data.exclude_documents` kept out of it.
    """

    name: str
    contract: LabelContract
    train: tuple[Document, ...]
    dev: tuple[Document, ...]
    test: tuple[Document, ...]
    notice: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])

    def split(self, name: str) -> tuple[Document, ...]:
        """Return the documents of `train`, `dev` or `test`."""
        return {"train": self.train, "dev": self.dev, "test": self.test}[name]


def unannotated_everywhere(documents: Iterable[Document]) -> tuple[str, ...]:
    """Return the types that none of the documents annotates, in the order of the first; none for no documents."""
    common: dict[str, None] | None = None
    for document in documents:
        hidden = document.unannotated
        common = dict.fromkeys(hidden if common is None else [name for name in common if name in hidden])
        if not common:
            break
    return tuple(common or ())


def num_sentences(documents: Iterable[Document]) -> int:
    """Return how many sentences the documents have together."""
    return sum(len(document.sentences) for document in documents)


def num_words(documents: Iterable[Document]) -> int:
    """Return how many words the documents have together."""
    return sum(len(sentence.words) for document in documents for sentence in document.sentences)
