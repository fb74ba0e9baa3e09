"""Annotations that a trained model contradicts with confidence.

Confident learning with a word as an example and its type, or O, as its label (Northcutt et al. 2021, Confident
Learning: Estimating Uncertainty in Dataset Labels, section 3.1): what a model believes of a type on average over the
words that bear it is that type's threshold. A word is suspected where some types reach theirs and the likeliest of
those is not its own: it lies off the diagonal of the confident joint. Neighbours with the same finding are one finding.

The paper wants beliefs of a model that has not seen the text. One that was trained on it has its errors by heart and
suspects fewer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedner.data.auditing.duplicates import Place, Words
from fedner.data.corpus import Document
from fedner.data.labels import LabelContract

Beliefs = NDArray[np.float32]
"""Probability of O and of each type of the contract, for each word of some documents; shape (words, 1 + types)."""


@dataclass(frozen=True)
class Suspicion:
    """Words annotated as one thing, `O` for none, that the model holds for another."""

    place: Place
    words: Words
    annotated: str
    believed: str
    probability: float
    """Of what is annotated, by the model; mean over the words."""


def find_suspicious(
    split: str, documents: Sequence[Document], beliefs: Beliefs, contract: LabelContract
) -> list[Suspicion]:
    """Return what is suspected in a split, the least probable annotation first.

    Types that a document does not annotate count as its O.
    """
    names = ("O", *contract.type_names)
    given = _given(documents, contract)
    weighed = _without_hidden(documents, beliefs, contract)
    confident = confident_labels(given, weighed)
    found: list[Suspicion] = []
    at = 0
    for document in documents:
        for number, sentence in enumerate(document.sentences):
            span = slice(at, at + len(sentence.words))
            for start, end in _runs(given[span], confident[span]):
                here = slice(at + start, at + end)
                label = int(given[at + start])
                found.append(
                    Suspicion(
                        Place(split, document.id, number),
                        sentence.words[start:end],
                        names[label],
                        names[confident[at + start]],
                        float(weighed[here, label].mean()),
                    )
                )
            at = span.stop
    return sorted(found, key=lambda each: (each.probability, each.place.rank, each.words))


def confident_labels(given: NDArray[np.int64], beliefs: Beliefs) -> NDArray[np.int64]:
    """Return each example's confident label: the likeliest that reaches its threshold, or its own if none does.

    Args:
        given: labels, shape (examples,).
        beliefs: probabilities, shape (examples, labels). A label that no example bears has no threshold to reach.
    """
    thresholds = np.full(beliefs.shape[1], np.inf)
    for label in np.unique(given):
        thresholds[label] = beliefs[given == label, label].mean(dtype=np.float64)
    reached = np.where(beliefs >= thresholds, beliefs, -1.0)
    return np.where(reached.max(axis=1) >= 0, reached.argmax(axis=1), given)


def _given(documents: Sequence[Document], contract: LabelContract) -> NDArray[np.int64]:
    label = {"O": 0} | {
        f"{prefix}-{name}": number for number, name in enumerate(contract.type_names, start=1) for prefix in ("B", "I")
    }
    tags = [tag for document in documents for sentence in document.sentences for tag in sentence.tags]
    return np.array([label[tag] for tag in tags], dtype=np.int64)


def _without_hidden(documents: Sequence[Document], beliefs: Beliefs, contract: LabelContract) -> Beliefs:
    weighed = beliefs.copy()
    at = 0
    for document in documents:
        words = slice(at, at := at + sum(len(sentence.words) for sentence in document.sentences))
        for name in document.unannotated:
            column = 1 + contract.type_names.index(name)
            weighed[words, 0] += weighed[words, column]
            weighed[words, column] = 0
    return weighed


def _runs(given: NDArray[np.int64], confident: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield the stretches of words that bear one label and are held for one other."""
    start = 0
    for end in range(1, len(given) + 1):
        if end == len(given) or (given[end], confident[end]) != (given[start], confident[start]):
            if given[start] != confident[start]:
                yield start, end
            start = end
