"""Strict entity counts, which are pooled over documents, sites and rounds before anything is divided.

The rules are those of seqeval with `mode="strict", scheme=IOB2` (https://github.com/chakki-works/seqeval): an entity
starts at a B tag and runs over the I tags of its type that follow without a gap; an I tag that continues no entity is
part of none; a predicted entity is right when type, start and end are those of a gold entity. They are written here on
arrays because every site counts in every round, and property tests hold them equal to seqeval on any sequence of
contract tags, legal or not.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedner.data.labels import LabelContract
from fedner.errors import LabelError, RunError

DocumentCounts = NDArray[np.int64]
"""Shape (documents, types, 3): tp, fp, fn of each document and type, types in contract order."""

_Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Counts:
    """True positives, false positives and false negatives per entity type, each of shape (types,), in contract order.

    Counts of one length form a commutative monoid under `+`, with `Counts.zero` as its identity.

    Raises:
        LabelError: the three have different lengths, or a count is negative.
    """

    tp: tuple[int, ...]
    fp: tuple[int, ...]
    fn: tuple[int, ...]

    def __post_init__(self) -> None:
        if not len(self.tp) == len(self.fp) == len(self.fn):
            lengths = f"{len(self.tp)}, {len(self.fp)} and {len(self.fn)}"
            raise LabelError(f"counts: expected tp, fp and fn for the same entity types, got {lengths} numbers")
        if any(number < 0 for number in chain(self.tp, self.fp, self.fn)):
            raise LabelError(f"counts: expected numbers of 0 or more, got {self}")

    @classmethod
    def zero(cls, num_types: int) -> "Counts":
        """Return the counts of no text at all."""
        return cls((0,) * num_types, (0,) * num_types, (0,) * num_types)

    def __add__(self, other: "Counts") -> "Counts":
        """Return the counts of both texts together.

        Raises:
            LabelError: the two were counted under contracts with different numbers of types.
        """
        if len(self.tp) != len(other.tp):
            raise LabelError(
                f"counts of {len(self.tp)} and of {len(other.tp)} entity types cannot be added; "
                "every site must count under the federation's label contract"
            )
        sides = (self.tp, other.tp), (self.fp, other.fp), (self.fn, other.fn)
        return Counts(*(tuple(a + b for a, b in zip(*side, strict=True)) for side in sides))


class _Entities(NamedTuple):
    """Entities of a flat tag sequence, ordered by start; every field has shape (entities,)."""

    starts: _Indices
    ends: _Indices
    types: _Indices


def pool(counts: Iterable[Counts]) -> Counts:
    """Return the counts of all texts together, such as those of all sites.

    Raises:
        RunError: there is nothing to pool.
        LabelError: the counts are of different numbers of types.
    """
    pooled: Counts | None = None
    for entry in counts:
        pooled = entry if pooled is None else pooled + entry
    if pooled is None:
        raise RunError("pooling: expected the counts of at least one site, got none")
    return pooled


def total(document_counts: DocumentCounts) -> Counts:
    """Return the counts of all documents together.

    Args:
        document_counts: shape (documents, types, 3).
    """
    tp, fp, fn = document_counts.sum(axis=0).T.tolist()
    return Counts(tuple(tp), tuple(fp), tuple(fn))


def count(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], contract: LabelContract) -> Counts:
    """Count predicted entities against gold ones; one sequence of contract tags per sentence.

    Raises:
        LabelError: the two differ in sentences or words, or a tag is not in the contract.
    """
    return total(count_documents(gold, predicted, [0] * len(gold), 1, contract))


def count_documents(
    gold: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
    document_of: Sequence[int],
    num_documents: int,
    contract: LabelContract,
) -> DocumentCounts:
    """Count predicted entities against gold ones, document by document.

    Args:
        gold: gold tags of each sentence; shape (sentences, words of the sentence).
        predicted: predicted tags, shaped like `gold`; may be illegal IOB2.
        document_of: index of each sentence's document, from 0; shape (sentences,).
        num_documents: documents in all, also those without sentences.

    Returns:
        tp, fp and fn; int64, shape (documents, types, 3).

    Raises:
        LabelError: the arguments differ in sentences or words, a tag is not in the contract, or a document index is
            outside 0 .. num_documents - 1.
    """
    _check_shapes(gold, predicted, document_of, num_documents)
    starts = np.cumsum([0, *map(len, gold)])
    documents = np.asarray(document_of, dtype=np.int64)
    ids = _tag_ids(gold, contract), _tag_ids(predicted, contract)
    return count_tag_ids(*ids, starts, documents, num_documents, len(contract.type_names))


def count_tag_ids(
    gold: NDArray[np.int64],
    predicted: NDArray[np.int64],
    sentence_starts: NDArray[np.int64],
    document_of: NDArray[np.int64],
    num_documents: int,
    num_types: int,
) -> DocumentCounts:
    """Count predicted entities against gold ones, document by document, on tag ids as in `LabelContract.tags`.

    Args:
        gold: gold tag id of each word, shape (words,).
        predicted: predicted tag id of each word, shape (words,); may be illegal IOB2.
        sentence_starts: sentence s is words `[sentence_starts[s], sentence_starts[s + 1])`; shape (sentences + 1,).
        document_of: index of each sentence's document, from 0; shape (sentences,).
        num_documents: documents in all, also those without sentences.

    Returns:
        tp, fp and fn; int64, shape (documents, types, 3).
    """
    # An O after each sentence, so that no entity crosses into the next.
    wanted, found = (_entities(np.insert(ids, sentence_starts[1:], 0)) for ids in (gold, predicted))
    documents = np.repeat(document_of, np.diff(sentence_starts) + 1)
    _, in_wanted, in_found = np.intersect1d(wanted.starts, found.starts, assume_unique=True, return_indices=True)
    right = (wanted.ends[in_wanted] == found.ends[in_found]) & (wanted.types[in_wanted] == found.types[in_found])
    cells_wanted = documents[wanted.starts] * num_types + wanted.types
    cells_found = documents[found.starts] * num_types + found.types
    size = num_documents * num_types
    tp = np.bincount(cells_wanted[in_wanted[right]], minlength=size)
    fp = np.bincount(cells_found, minlength=size) - tp
    fn = np.bincount(cells_wanted, minlength=size) - tp
    return np.stack([tp, fp, fn], axis=-1).astype(np.int64).reshape(num_documents, num_types, 3)


def only_annotated(
    counts: DocumentCounts, unannotated: Sequence[Collection[str]], contract: LabelContract
) -> DocumentCounts:
    """Return the counts without those of types that were not annotated, where a prediction is neither right nor wrong.

    The same as counting after the other types' tags are made O on both sides.

    Args:
        counts: shape (documents, types, 3).
        unannotated: the types that each document does not annotate.
    """
    kept = np.array([[name not in types for name in contract.type_names] for types in unannotated], dtype=np.bool_)
    return np.where(kept.reshape(*counts.shape[:2], 1), counts, 0)


def _check_shapes(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], document_of: Sequence[int], num_documents: int
) -> None:
    if not len(gold) == len(predicted) == len(document_of):
        found = f"{len(gold)} gold, {len(predicted)} predicted and {len(document_of)} document indices"
        raise LabelError(f"scoring: expected the same sentences on all sides, got {found}")
    for index, (wanted, found) in enumerate(zip(gold, predicted, strict=True)):
        if len(wanted) != len(found):
            raise LabelError(
                f"scoring: sentence {index} has {len(wanted)} gold tags and {len(found)} predicted ones; "
                "every word needs exactly one of each"
            )
    if len(document_of) and not 0 <= min(document_of) <= max(document_of) < num_documents:
        span = f"{min(document_of)} .. {max(document_of)}"
        raise LabelError(f"scoring: expected document indices in 0 .. {num_documents - 1}, got {span}")


def _tag_ids(sentences: Sequence[Sequence[str]], contract: LabelContract) -> NDArray[np.int64]:
    try:
        return np.fromiter(map(contract.tag_ids.__getitem__, chain.from_iterable(sentences)), dtype=np.int64)
    except KeyError as error:
        raise LabelError(
            f"scoring: tag {error.args[0]!r} is not in contract '{contract.name}', which has "
            f"{', '.join(contract.tags)}; map the source's types onto the contract's"
        ) from error


def _entities(tag_ids: NDArray[np.int64]) -> _Entities:
    """Return the entities of a row of tag ids that ends in O; ids as in `LabelContract.tags`."""
    types = (tag_ids - 1) // 2
    inside = (tag_ids > 0) & (tag_ids % 2 == 0)
    goes_on = np.zeros(len(tag_ids), dtype=np.bool_)
    goes_on[1:] = inside[1:] & (types[1:] == types[:-1])
    stops = np.flatnonzero(~goes_on)
    starts = np.flatnonzero(tag_ids % 2 == 1)
    ends = stops[np.searchsorted(stops, starts, side="right")]
    return _Entities(starts, ends, types[starts])
