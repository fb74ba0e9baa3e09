"""Texts that stand in a corpus twice, word for word or nearly so.

Nearly: at least a given Jaccard similarity between the sets of word shingles (runs of words). MinHash with banding
finds the candidates (Broder 1997, "On the resemblance and containment of documents"; Leskovec et al., "Mining of
Massive Datasets", ch. 3), and each is then compared shingle by shingle, so that no pair is reported that is not one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, cast

from fedner.data.corpus import SPLITS, Document
from fedner.errors import ConfigError

_NUM_HASHES = 128
_HASH_SEED = 1
_MISSED = 1e-3
"""Chance, at most, that banding overlooks a pair whose similarity is just the threshold."""

Words = tuple[str, ...]


class Place(NamedTuple):
    """Where a text stands; `sentence` counts from 0 within the document and is None for a whole document."""

    split: str
    document: str
    sentence: int | None = None

    @property
    def rank(self) -> tuple[int, str, int]:
        """Return what places are ordered by: split, document id, sentence; never the order of reading."""
        return SPLITS.index(self.split), self.document, -1 if self.sentence is None else self.sentence


@dataclass(frozen=True)
class Duplicate:
    """A text that stands at `place` although it, or one much like it, stands at `earlier` already."""

    place: Place
    earlier: Place
    exact: bool
    similarity: float
    """Jaccard similarity of the shingles; 1 if exact."""
    words: Words


Likeness = Mapping[Words, Mapping[Words, float]]
"""Text -> the other texts that are nearly the same, with their similarity."""


def document_texts(documents: Mapping[str, Iterable[Document]]) -> Iterator[tuple[Place, Words]]:
    """Return every document of every split as one run of words."""
    for split, members in documents.items():
        for each in members:
            yield Place(split, each.id), tuple(chain.from_iterable(sentence.words for sentence in each.sentences))


def sentence_texts(documents: Mapping[str, Iterable[Document]], min_words: int) -> Iterator[tuple[Place, Words]]:
    """Return every sentence that has at least `min_words` words."""
    for split, members in documents.items():
        for each in members:
            for number, sentence in enumerate(each.sentences):
                if len(sentence.words) >= min_words:
                    yield Place(split, each.id, number), sentence.words


def find_duplicates(texts: Iterable[tuple[Place, Words]], threshold: float, shingle: int) -> list[Duplicate]:
    """Return, for each text and each split, the most similar text before it that is the same or nearly so.

    Naming one a split keeps the findings as many as the texts where a phrase stands everywhere. The order of `texts`
    plays no part.

    Args:
        threshold: Jaccard similarity from which texts are nearly the same, above 0 and at most 1.
        shingle: words in a shingle; a shorter text is one shingle.

    Raises:
        ConfigError: `datasketch` is not installed.
    """
    places: dict[Words, list[Place]] = {}
    for place, words in texts:
        places.setdefault(words, []).append(place)
    firsts = {words: _first_by_split(found) for words, found in places.items()}
    likeness = _likeness(list(places), threshold, shingle)
    found = [
        duplicate
        for words, members in places.items()
        for place in members
        for duplicate in _before(place, words, firsts, likeness[words])
    ]
    return sorted(found, key=lambda each: (each.place.rank, each.earlier.rank))


def _first_by_split(places: Sequence[Place]) -> dict[str, Place]:
    firsts: dict[str, Place] = {}
    for place in sorted(places, key=lambda place: place.rank):
        firsts.setdefault(place.split, place)
    return firsts


def _before(
    place: Place, words: Words, firsts: Mapping[Words, Mapping[str, Place]], alike: Mapping[Words, float]
) -> Iterator[Duplicate]:
    candidates = [
        Duplicate(place, first, other == words, similarity, words)
        for other, similarity in chain([(words, 1.0)], alike.items())
        for first in firsts[other].values()
        if first.rank < place.rank
    ]
    for split in SPLITS:
        of_split = [each for each in candidates if each.earlier.split == split]
        if of_split:
            yield min(of_split, key=lambda each: (not each.exact, -each.similarity, each.earlier.rank))


def _likeness(texts: Sequence[Words], threshold: float, shingle: int) -> Likeness:
    alike: dict[Words, dict[Words, float]] = {words: {} for words in texts}
    sets = [shingles_of(words, shingle) for words in texts]
    # The index meets a text before it holds it, so that each pair is compared once.
    meet = _candidate_index(threshold)
    for this, shingles in enumerate(sets):
        for other in meet(this, shingles):
            similarity = len(shingles & sets[other]) / len(shingles | sets[other])
            if similarity >= threshold:
                alike[texts[this]][texts[other]] = alike[texts[other]][texts[this]] = similarity
    return alike


def shingles_of(words: Words, length: int) -> frozenset[bytes]:
    """Return the runs of `length` words of a text, as bytes; a shorter text is one run."""
    runs = (words[start : start + length] for start in range(max(1, len(words) - length + 1)))
    return frozenset("\n".join(run).encode("utf-8", "surrogatepass") for run in runs)


def _candidate_index(threshold: float) -> Callable[[int, frozenset[bytes]], list[int]]:
    """Return a function that names the texts met before that may be similar, and remembers the one it is given."""
    try:
        from datasketch import MinHash, MinHashLSH  # pyright: ignore[reportMissingImports]: an optional extra
    except ImportError as error:
        raise ConfigError(
            "data audit: finding near-duplicates needs datasketch; run `pip install 'fedner[audit]'`"
        ) from error
    index = MinHashLSH(num_perm=_NUM_HASHES, params=banding(threshold))
    empty = MinHash(num_perm=_NUM_HASHES, seed=_HASH_SEED)

    def meet(number: int, shingles: frozenset[bytes]) -> list[int]:
        sketch = empty.copy()
        sketch.update_batch(sorted(shingles))
        met = cast(list[int], index.query(sketch))
        index.insert(number, sketch)
        return met

    return meet


def banding(threshold: float) -> tuple[int, int]:
    """Return bands and rows for the index: as many rows as leave the chance to miss a pair at the threshold small.

    A pair of similarity s becomes a candidate with the chance 1 - (1 - s^rows)^bands. The library's own choice weighs
    false candidates as much as missed pairs, and would miss every other one at 0.8; ours are only compared.
    """
    chosen = 1
    for rows in range(1, _NUM_HASHES // 2 + 1):
        if (1 - threshold**rows) ** (_NUM_HASHES // rows) <= _MISSED:
            chosen = rows
    return _NUM_HASHES // chosen, chosen
