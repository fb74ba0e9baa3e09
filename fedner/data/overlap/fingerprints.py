"""A site's fingerprint: a signature of each of its documents under numbers drawn for this file, and what the numbers
mean, which stays at the site.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, NamedTuple

from fedner.config.typed import fits
from fedner.data.corpus import SPLITS, Document
from fedner.data.overlap.files import KeyId, Reference, SiteName, Split, is_site_name, read_object, write_object
from fedner.data.overlap.signing import NUM_BITS, OverlapKey, Signer
from fedner.errors import ConfigError, DataError

MIN_WORDS = 50
"""Documents shorter than this are left out unless a site says otherwise: the fewer shingles, the more each shows."""
LIMIT_DOCUMENTS = 250_000
_FINGERPRINT = "fedner-fingerprint"
_DOCUMENTS = "fedner-fingerprint-documents"
_HEX_DIGITS = NUM_BITS // 4
_SIGNED = re.compile(f"[0-9a-f]{{{_HEX_DIGITS}}}")
_Signature = Annotated[str, fits(_SIGNED.fullmatch, f"a signature of {_HEX_DIGITS} hexadecimal digits")]


class OwnDocument(NamedTuple):
    """The document that a reference stands for at its site."""

    split: Split
    id: str


@dataclass(frozen=True)
class _Splits:
    train: Mapping[Reference, _Signature]
    dev: Mapping[Reference, _Signature]
    test: Mapping[Reference, _Signature]


@dataclass(frozen=True)
class _FingerprintFile:
    site: SiteName
    key_id: KeyId
    min_words: int
    documents: _Splits


@dataclass(frozen=True)
class _DocumentsFile:
    site: SiteName
    documents: Mapping[Reference, OwnDocument]


@dataclass(frozen=True)
class Fingerprint:
    """The part that leaves a site: for each split, reference -> signature, sorted by reference, which is random."""

    site: str
    key_id: str
    min_words: int
    signatures: Mapping[str, Mapping[str, bytes]]

    def sizes(self) -> dict[str, int]:
        """Return how many documents each split has here."""
        return {split: len(self.signatures.get(split, {})) for split in SPLITS}


@dataclass(frozen=True)
class FingerprintTaken:
    """A fingerprint, what its references mean, and how many documents were too short for it."""

    fingerprint: Fingerprint
    documents: Mapping[str, OwnDocument]
    too_short: int


def take_fingerprint(
    site: str, splits: Mapping[str, Sequence[Document]], key: OverlapKey, min_words: int = MIN_WORDS
) -> FingerprintTaken:
    """Sign every document that has enough words; references are drawn anew each time.

    Raises:
        ConfigError: the name cannot be shown to others, or `min_words` is out of range.
        DataError: no document is long enough, or there are too many.
    """
    if not is_site_name(site):
        raise ConfigError(f"site: expected a name of at most 100 characters that can be shown, got {site!r:.120}")
    if min_words < 1:
        raise ConfigError(f"--min-words: expected a number from 1, got {min_words}")
    signer = Signer(key)
    signatures: dict[str, dict[str, bytes]] = {}
    documents: dict[str, OwnDocument] = {}
    too_short = 0
    for split in SPLITS:
        signed: dict[str, bytes] = {}
        for document in splits.get(split, ()):
            words = tuple(chain.from_iterable(sentence.words for sentence in document.sentences))
            if len(words) < min_words:
                too_short += 1
                continue
            reference = secrets.token_hex(8)
            signed[reference] = signer.sign(words)
            documents[reference] = OwnDocument(split, document.id)
        # Sorted by what was drawn, so that no order of the site's is left.
        signatures[split] = dict(sorted(signed.items()))
    if not documents:
        raise DataError(f"expected documents of at least {min_words} words, got none; see --min-words")
    _require_few(len(documents))
    return FingerprintTaken(Fingerprint(site, key.id, min_words, signatures), documents, too_short)


def write_fingerprint(fingerprint: Fingerprint, path: Path) -> None:
    """Write what may leave the site; a file that is there stays.

    Raises:
        DataError: as `write_object`.
    """
    documents = {
        split: {reference: signature.hex() for reference, signature in members.items()}
        for split, members in fingerprint.signatures.items()
    }
    head = {"site": fingerprint.site, "key_id": fingerprint.key_id, "min_words": fingerprint.min_words}
    write_object(path, _FINGERPRINT, head | {"documents": documents})


def read_fingerprint(path: Path) -> Fingerprint:
    """Read a site's fingerprint.

    Raises:
        DataError: it is not a fingerprint, or an entry is not as `write_fingerprint` writes it.
    """
    found = read_object(path, _FINGERPRINT, "a site's fingerprint", _FingerprintFile)
    documents = vars(found.documents)
    number = sum(map(len, documents.values()))
    _require_few(number, path)
    if len(set(chain.from_iterable(documents.values()))) < number:
        raise DataError("documents: expected each reference once, got one in two splits", path)
    signatures = {
        split: {reference: bytes.fromhex(signature) for reference, signature in members.items()}
        for split, members in documents.items()
    }
    return Fingerprint(found.site, found.key_id, found.min_words, signatures)


def write_documents(taken: FingerprintTaken, path: Path) -> None:
    """Write what the references mean, for the site alone; a file that is there stays.

    Raises:
        DataError: as `write_object`.
    """
    documents = {reference: each._asdict() for reference, each in taken.documents.items()}
    write_object(path, _DOCUMENTS, {"site": taken.fingerprint.site, "documents": documents})


def read_documents_of(path: Path) -> tuple[str, dict[str, OwnDocument]]:
    """Return a site's name, and what the references of its fingerprint mean.

    Raises:
        DataError: it is no such file.
    """
    found = read_object(path, _DOCUMENTS, "what a fingerprint's references mean, as the site kept it", _DocumentsFile)
    return found.site, dict(found.documents)


def _require_few(number: int, path: Path | None = None) -> None:
    if number > LIMIT_DOCUMENTS:
        raise DataError(f"expected at most {LIMIT_DOCUMENTS:,} documents in a fingerprint, got {number:,}", path)
