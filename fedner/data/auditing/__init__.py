"""Can the scores of a corpus be trusted, and its annotation: `fedner data audit`.

A test document that also lies in the training text makes every score too good; words annotated in two ways, or
wrongly, put a ceiling on it; a type with a handful of entities has a score that says nothing. Nothing here changes the
corpus.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from fedner.data.auditing.consistency import Inconsistency, find_inconsistencies
from fedner.data.auditing.duplicates import (
    Duplicate,
    Place,
    Words,
    document_texts,
    find_duplicates,
    sentence_texts,
)
from fedner.data.auditing.suspicion import Beliefs, Suspicion, find_suspicious
from fedner.data.corpus import SPLITS, Document, num_words, unannotated_everywhere
from fedner.data.labels import LabelContract
from fedner.errors import ConfigError


@dataclass(frozen=True)
class AuditOptions:
    """From where on something is a finding."""

    threshold: float = 0.8
    """Jaccard similarity of word shingles from which texts are near-duplicates (above 0, at most 1)."""
    shingle: int = 3
    """Words in a shingle (> 0)."""
    min_words: int = 8
    """Sentences shorter than this are not compared, as they are alike by nature (> 0)."""
    rare: int = 10
    """A type with fewer entities in a split is rare (>= 0)."""
    plain_share: float = 0.1
    """Words that are an entity elsewhere are reported if they are plain in more than this share (0 to 1)."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ConfigError(f"--threshold: expected a number above 0 and at most 1, got {self.threshold}")
        if not 0 <= self.plain_share <= 1:
            raise ConfigError(f"--plain-share: expected a number from 0 to 1, got {self.plain_share}")
        for name, least in (("shingle", 1), ("min_words", 1), ("rare", 0)):
            if getattr(self, name) < least:
                option = name.replace("_", "-")
                raise ConfigError(f"--{option}: expected a number from {least}, got {getattr(self, name)}")


@dataclass(frozen=True)
class ScarceType:
    """A type with few entities in a split, or none (`absent`)."""

    split: str
    type: str
    entities: int

    @property
    def absent(self) -> bool:
        """True if the split has no entity of the type."""
        return self.entities == 0


@dataclass(frozen=True)
class Long:
    """A sentence or document that is far longer than the others of its split."""

    place: Place
    words: int
    usual: int
    """Words up to which lengths are ordinary: three interquartile ranges above the upper quartile (Tukey's far out)."""


@dataclass(frozen=True)
class AuditReport:
    """The findings of an audit, for a person to weigh; the words in them stay on the site's own terminal."""

    name: str
    contract_hash: str
    options: AuditOptions
    num_documents: Mapping[str, int]
    documents: tuple[Duplicate, ...]
    sentences: tuple[Duplicate, ...]
    inconsistencies: tuple[Inconsistency, ...]
    scarce: tuple[ScarceType, ...]
    long: tuple[Long, ...]
    suspicious: tuple[Suspicion, ...] | None
    """What a model contradicts; None where none was asked."""

    def leaked(self, split: str) -> tuple[str, ...]:
        """Return the ids of the dev or test documents that training has seen, exactly or nearly."""
        found = {
            each.place.document: None
            for each in self.documents
            if each.place.split == split and each.earlier.split == "train" and split != "train"
        }
        return tuple(found)

    def to_json(self) -> dict[str, object]:
        """Return the report as plain values, without any of the site's text: places, kinds and numbers."""
        return {
            "name": self.name,
            "contract_hash": self.contract_hash,
            "options": asdict(self.options),
            "num_documents": dict(self.num_documents),
            "leaked": {split: list(self.leaked(split)) for split in SPLITS if split != "train"},
            "duplicate_documents": [_duplicate_json(each) for each in self.documents],
            "duplicate_sentences": [_duplicate_json(each) for each in self.sentences],
            "inconsistencies": [
                {
                    "types": dict(each.types),
                    "plain": each.plain,
                    "first": {kind: place._asdict() for kind, place in each.first.items()},
                }
                for each in self.inconsistencies
            ],
            "scarce_types": [asdict(each) for each in self.scarce],
            "long": [{"place": each.place._asdict(), "words": each.words, "usual": each.usual} for each in self.long],
            "suspicious": None if self.suspicious is None else [_suspicion_json(each) for each in self.suspicious],
        }


def audit(
    name: str,
    contract: LabelContract,
    splits: Mapping[str, Sequence[Document]],
    options: AuditOptions,
    beliefs: Mapping[str, Beliefs] | None = None,
) -> AuditReport:
    """Look through the documents of train, dev and test; the order in which they come plays no part.

    Args:
        beliefs: what a model believes of the words of each split, if one is to be asked.

    Raises:
        ConfigError: `datasketch` is not installed.
    """
    filled = {split: splits[split] for split in SPLITS if splits.get(split)}
    texts = sentence_texts(filled, options.min_words)
    return AuditReport(
        name=name,
        contract_hash=contract.digest,
        options=options,
        num_documents={split: len(documents) for split, documents in filled.items()},
        documents=tuple(find_duplicates(document_texts(filled), options.threshold, options.shingle)),
        sentences=tuple(find_duplicates(texts, options.threshold, options.shingle)),
        inconsistencies=tuple(find_inconsistencies(filled, options.plain_share)),
        scarce=tuple(_scarce(filled, contract, options.rare)),
        long=tuple(_long(filled)),
        suspicious=None if beliefs is None else tuple(_suspicious(filled, beliefs, contract)),
    )


def _suspicious(
    splits: Mapping[str, Sequence[Document]], beliefs: Mapping[str, Beliefs], contract: LabelContract
) -> Iterator[Suspicion]:
    # What spoils scores comes first.
    for split in reversed(SPLITS):
        if split in splits:
            yield from find_suspicious(split, splits[split], beliefs[split], contract)


def _suspicion_json(each: Suspicion) -> dict[str, object]:
    return {
        "place": each.place._asdict(),
        "annotated": each.annotated,
        "believed": each.believed,
        "probability": round(each.probability, 4),
    }


def _duplicate_json(each: Duplicate) -> dict[str, object]:
    return {
        "kind": "exact" if each.exact else "near",
        "similarity": round(each.similarity, 4),
        "place": each.place._asdict(),
        "earlier": each.earlier._asdict(),
    }


def _scarce(splits: Mapping[str, Sequence[Document]], contract: LabelContract, rare: int) -> Iterator[ScarceType]:
    for split, documents in splits.items():
        tags = [tag for document in documents for sentence in document.sentences for tag in sentence.tags]
        for name in contract.type_names:
            number = tags.count(f"B-{name}")
            # A type that is not annotated is not reported as missing.
            if number < max(rare, 1) and name not in unannotated_everywhere(documents):
                yield ScarceType(split, name, number)


def _long(splits: Mapping[str, Sequence[Document]]) -> Iterator[Long]:
    for split, documents in splits.items():
        yield from _far_out([(Place(split, each.id), num_words([each])) for each in documents])
        yield from _far_out(
            [
                (Place(split, each.id, number), len(sentence.words))
                for each in documents
                for number, sentence in enumerate(each.sentences)
            ]
        )


def _far_out(lengths: Iterable[tuple[Place, int]]) -> Iterator[Long]:
    known = list(lengths)
    lower, upper = np.quantile([words for _, words in known], [0.25, 0.75])
    usual = int(upper + 3 * (upper - lower))
    for place, words in sorted(known, key=lambda each: (-each[1], each[0].rank)):
        if words > usual:
            yield Long(place, words, usual)


__all__ = [
    "AuditOptions", "AuditReport", "Beliefs", "Duplicate", "Inconsistency", "Long", "Place", "ScarceType", "Suspicion",
    "Words", "audit",
]  # fmt: skip
