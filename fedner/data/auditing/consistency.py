"""Words that are annotated now in one way, now in another."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fedner.data.auditing.duplicates import Place, Words
from fedner.data.corpus import Document, Sentence
from fedner.data.labels import spans_of


@dataclass(frozen=True)
class Inconsistency:
    """The same words under several types, or annotated here and plain there; not every one is an error."""

    words: Words
    types: Mapping[str, int]
    """Type -> how often the words are annotated with it, most often first."""
    plain: int
    """How often the words stand with no annotation on any of them, in documents that annotate these types."""
    first: Mapping[str, Place]
    """Type, or O where plain, -> the first place."""


@dataclass
class _Uses:
    """What was counted for the words of one entity; `first` is the earliest place, whatever is read first."""

    counts: Counter[str] = field(default_factory=Counter[str])
    first: dict[str, Place] = field(default_factory=dict[str, Place])

    def add(self, kind: str, place: Place) -> None:
        self.counts[kind] += 1
        known = self.first.get(kind)
        if known is None or place.rank < known.rank:
            self.first[kind] = place


def find_inconsistencies(documents: Mapping[str, Iterable[Document]], plain_share: float) -> list[Inconsistency]:
    """Return the words that have several types, or are plain in more than a share of their places.

    Words annotated only once show nothing by standing plain elsewhere: they are reported for that from two
    annotations on.

    Args:
        plain_share: plain places among all places of the words, from 0 to 1.
    """
    placed = [
        (document, Place(split, document.id, number), sentence)
        for split, members in documents.items()
        for document in members
        for number, sentence in enumerate(document.sentences)
    ]
    uses: dict[Words, _Uses] = {}
    for _, place, sentence in placed:
        for span in spans_of(sentence.tags):
            uses.setdefault(sentence.words[span.start : span.end], _Uses()).add(span.type, place)
    types = {words: frozenset(each.counts) for words, each in uses.items()}
    lengths: dict[str, set[int]] = {}
    for words in uses:
        lengths.setdefault(words[0], set()).add(len(words))
    for document, place, sentence in placed:
        for words in _plain_runs(sentence, lengths):
            # An O says nothing about a type that is not annotated.
            if words in uses and not types[words].intersection(document.unannotated):
                uses[words].add("O", place)
    found = [_inconsistency(words, each) for words, each in uses.items() if _differs(each.counts, plain_share)]
    return sorted(found, key=lambda each: (-_disagreeing(each), each.words))


def _plain_runs(sentence: Sentence, lengths: Mapping[str, Iterable[int]]) -> Iterator[Words]:
    for start, word in enumerate(sentence.words):
        for length in lengths.get(word, ()):
            tags = sentence.tags[start : start + length]
            if len(tags) == length and all(tag == "O" for tag in tags):
                yield sentence.words[start : start + length]


def _differs(counts: Counter[str], plain_share: float) -> bool:
    annotated = counts.total() - counts["O"]
    return len(set(counts) - {"O"}) > 1 or (annotated > 1 and counts["O"] > plain_share * counts.total())


def _inconsistency(words: Words, uses: _Uses) -> Inconsistency:
    types = sorted(((name, number) for name, number in uses.counts.items() if name != "O"), key=lambda x: (-x[1], x[0]))
    return Inconsistency(words, dict(types), uses.counts["O"], dict(sorted(uses.first.items())))


def _disagreeing(each: Inconsistency) -> int:
    """Return how many places disagree with what is commonest there."""
    counts = [*each.types.values(), each.plain]
    return sum(counts) - max(counts)
