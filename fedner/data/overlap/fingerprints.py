"""A site's fingerprint: a signature of each of its documents under numbers drawn for this file, and what the numbers
mean, which stays at the site.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from fedner.data.corpus import SPLITS, Document
from fedner.data.overlap.files import (
    is_site_name,
    one_of,
    read_object,
    require_members,
    site_name,
    write_object,
)
from fedner.data.overlap.signing import NUM_BITS, OverlapKey, Signer
from fedner.data.reading.json_values import Value
from fedner.errors import ConfigError, DataError

MIN_WORDS = 50
"""Documents shorter than this are left out unless a site says otherwise: the fewer shingles, the more each shows."""
LIMIT_DOCUMENTS = 250_000
_FINGERPRINT = "fedner-fingerprint"
_DOCUMENTS = "fedner-fingerprint-documents"
_REFERENCE = re.compile("[0-9a-f]{16}")
_SIGNATURE = re.compile(f"[0-9a-f]{{{NUM_BITS // 4}}}")


class OwnDocument(NamedTuple):
    """What a reference means at its site."""

    split: str
    id: str


@dataclass(frozen=True)
class Fingerprint:
    """What leaves a site: for each split, reference -> signature, in the order of the references, which is random."""

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
        DataError: it is none, or anything in it is not as `write_fingerprint` writes it.
    """
    members = read_object(path, _FINGERPRINT, "a site's fingerprint")
    require_members(members, ("site", "key_id", "min_words", "documents"), path)
    splits = members["documents"].fields()
    require_members(splits, SPLITS, path, "documents")
    documents = {split: splits[split].fields() for split in SPLITS}
    _require_few(sum(map(len, documents.values())), path)
    if len(set(chain.from_iterable(documents.values()))) < sum(map(len, documents.values())):
        raise DataError("documents: expected each reference once, got one in two splits", path)
    signatures = {
        split: {reference_of(name, each): _signature(each) for name, each in found.items()}
        for split, found in documents.items()
    }
    min_words = members["min_words"].number()
    return Fingerprint(site_name(members["site"]), key_id_of(members["key_id"]), min_words, signatures)


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
    members = read_object(path, _DOCUMENTS, "what a fingerprint's references mean, as the site kept it")
    require_members(members, ("site", "documents"), path)
    found: dict[str, OwnDocument] = {}
    for name, each in members["documents"].fields().items():
        fields = each.fields()
        require_members(fields, ("split", "id"), path, f"documents.{name:.40}")
        # An id may hold half of a surrogate pair, as file names do, and is not checked as text is.
        found[reference_of(name, each)] = OwnDocument(one_of(fields["split"], SPLITS), str(fields["id"].value))
    return site_name(members["site"]), found


def key_id_of(value: Value) -> str:
    """Return a key's id.

    Raises:
        DataError: it is none.
    """
    return _matching(_REFERENCE, value, "16 hexadecimal digits")


def reference_of(name: str, place: Value) -> str:
    """Return a reference.

    Raises:
        DataError: it is none.
    """
    return _matching(_REFERENCE, Value(name, place.place), "a reference of 16 hexadecimal digits")


def _signature(value: Value) -> bytes:
    return bytes.fromhex(_matching(_SIGNATURE, value, f"a signature of {NUM_BITS // 4} hexadecimal digits"))


def _matching(pattern: re.Pattern[str], value: Value, wanted: str) -> str:
    if not isinstance(value.value, str) or not pattern.fullmatch(value.value):
        raise value.wrong(wanted)
    return value.value


def _require_few(number: int, path: Path | None = None) -> None:
    if number > LIMIT_DOCUMENTS:
        raise DataError(f"expected at most {LIMIT_DOCUMENTS:,} documents in a fingerprint, got {number:,}", path)
