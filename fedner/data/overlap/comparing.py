"""Which documents of different sites are nearly the same, by their fingerprints alone; the key is not needed.

Every pair is compared: 64 bytes against 64 are so little that an index would gain nothing up to some ten thousand
documents a site, and no file that is made to defeat an index can make it take longer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedner.config.typed import fits
from fedner.data.corpus import SPLITS
from fedner.data.overlap.files import KeyId, Reference, SiteName, Split, read_object, write_object
from fedner.data.overlap.fingerprints import Fingerprint
from fedner.data.overlap.signing import NUM_BITS
from fedner.errors import ConfigError

THRESHOLD = 0.75
"""The audit's 0.8 within a site, less nearly two standard errors of the estimate."""
LEAST_THRESHOLD = 0.3
"""Seven standard errors above what texts with nothing in common are estimated at."""

_FINDINGS = "fedner-overlap"
_BLOCK = 4_000_000
"""Pairs compared at a time, which bounds the memory."""
Signatures = NDArray[np.uint64]
"""Signatures as machine words; shape (documents, 8)."""


_Share = Annotated[float, fits(lambda number: 0 <= number <= 1, "a number from 0 to 1")]


class Spot(NamedTuple):
    """A document of a site, as others may name it."""

    site: SiteName
    split: Split
    reference: Reference


@dataclass(frozen=True)
class Match:
    """A document, and the most similar one of a split of another site."""

    document: Spot
    like: Spot
    similarity: _Share
    """Estimated Jaccard similarity of the two sets of shingles."""


@dataclass(frozen=True)
class _Sizes:
    train: int
    dev: int
    test: int


@dataclass(frozen=True)
class _FindingsFile:
    key_id: KeyId
    threshold: _Share
    num_documents: Mapping[SiteName, _Sizes]
    matches: tuple[Match, ...]


@dataclass(frozen=True)
class Overlap:
    """The documents that sites have in common; `num_documents` has the compared documents by site and split."""

    key_id: str
    threshold: float
    num_documents: Mapping[str, Mapping[str, int]]
    matches: tuple[Match, ...]

    def leaked(self, site: str, split: str) -> tuple[str, ...]:
        """Return the references of a site's dev or test documents that lie in another site's train."""
        found = {
            each.document.reference: None
            for each in self.matches
            if each.document[:2] == (site, split) and each.like.split == "train" and split != "train"
        }
        return tuple(found)

    def to_json(self) -> dict[str, object]:
        """Return the findings as plain values."""
        return {
            "key_id": self.key_id,
            "threshold": self.threshold,
            "num_documents": {site: dict(sizes) for site, sizes in self.num_documents.items()},
            "matches": [
                {"document": each.document._asdict(), "like": each.like._asdict(), "similarity": each.similarity}
                for each in self.matches
            ],
        }


def find_overlap(fingerprints: Sequence[Fingerprint], threshold: float = THRESHOLD) -> Overlap:
    """Return, for each document and each split of each other site, the most similar document, if it is similar enough.

    The order in which fingerprints come plays no part.

    Raises:
        ConfigError: there are fewer than two, two of one site, or they were made with different keys; or the threshold
            is out of range.
    """
    if not LEAST_THRESHOLD <= threshold <= 1:
        raise ConfigError(f"--threshold: expected a number from {LEAST_THRESHOLD} to 1, got {threshold}")
    ordered = sorted(fingerprints, key=lambda each: each.site)
    _require_comparable(ordered)
    matches = [match for ours, theirs in permutations(ordered, 2) for match in _matches(ours, theirs, threshold)]
    return Overlap(
        key_id=ordered[0].key_id,
        threshold=threshold,
        num_documents={each.site: each.sizes() for each in ordered},
        matches=tuple(sorted(matches, key=_rank)),
    )


def write_findings(overlap: Overlap, path: Path) -> None:
    """Write the findings for the sites; a file that is there stays.

    Raises:
        DataError: as `write_object`.
    """
    write_object(path, _FINDINGS, overlap.to_json())


def read_findings(path: Path) -> Overlap:
    """Read findings, which somebody else may have written.

    Raises:
        DataError: the file holds no findings, or an entry is not as `write_findings` writes it.
    """
    found = read_object(path, _FINDINGS, "the findings of `fedner data overlap`", _FindingsFile)
    num_documents = {site: dict(vars(sizes)) for site, sizes in found.num_documents.items()}
    return Overlap(found.key_id, found.threshold, num_documents, tuple(sorted(found.matches, key=_rank)))


def _rank(match: Match) -> tuple[object, ...]:
    document, like = match.document, match.like
    splits = SPLITS.index(document.split), SPLITS.index(like.split)
    return document.site, like.site, *splits, -match.similarity, document.reference, like.reference


def _require_comparable(fingerprints: Sequence[Fingerprint]) -> None:
    if len(fingerprints) < 2:
        raise ConfigError(f"data overlap: expected the fingerprints of two sites or more, got {len(fingerprints)}")
    for one, other in pairwise(fingerprints):
        if one.site == other.site:
            raise ConfigError(f"data overlap: expected one fingerprint a site, got two of {one.site!r}")
        if one.key_id != other.key_id:
            raise ConfigError(
                f"data overlap: expected fingerprints made with one key, got key {one.key_id} at {one.site!r} and "
                f"{other.key_id} at {other.site!r}, which can never match; make them anew with one shared key"
            )


def _matches(ours: Fingerprint, theirs: Fingerprint, threshold: float) -> Iterator[Match]:
    for our_split, our_members in ours.signatures.items():
        for their_split, their_members in theirs.signatures.items():
            if not our_members or not their_members:
                continue
            our_names, their_names = tuple(our_members), tuple(their_members)
            nearest, differing = _nearest(_packed(our_members), _packed(their_members))
            for index, (best, bits) in enumerate(zip(nearest.tolist(), differing.tolist(), strict=True)):
                similarity = 1 - 2 * bits / NUM_BITS
                if similarity >= threshold:
                    document = Spot(ours.site, our_split, our_names[index])
                    yield Match(document, Spot(theirs.site, their_split, their_names[best]), round(similarity, 4))


def _packed(members: Mapping[str, bytes]) -> Signatures:
    return np.frombuffer(b"".join(members.values()), dtype=np.uint64).reshape(len(members), NUM_BITS // 64)


def _nearest(ours: Signatures, theirs: Signatures) -> tuple[NDArray[np.intp], NDArray[np.uint16]]:
    """Return for each of ours which of theirs differs in the fewest places, the first of several, and in how many."""
    nearest = np.empty(len(ours), dtype=np.intp)
    differing = np.empty(len(ours), dtype=np.uint16)
    rows = max(1, _BLOCK // len(theirs))
    for start in range(0, len(ours), rows):
        block = slice(start, start + rows)
        counts = np.zeros((len(ours[block]), len(theirs)), dtype=np.uint16)
        for word in range(ours.shape[1]):
            counts += np.bitwise_count(ours[block, word, None] ^ theirs[None, :, word])
        nearest[block] = counts.argmin(axis=1)
        differing[block] = counts.min(axis=1)
    return nearest, differing
