"""Texts -> 512 bits each, two of which show how alike their texts are, and nothing else can be read without the key.

A text is the set of its word shingles, as in the audit within a site. Each shingle becomes a keyed BLAKE2b hash, the
key being shared by the sites and unknown to whoever compares. For each of the 512 places, the least value that a keyed
mix of those hashes takes is found (Broder 1997), and only its lowest bit is kept (b-bit minwise hashing: Li and König
2010, "b-Bit Minwise Hashing"). Two texts of Jaccard similarity J agree in (1 + J) / 2 of the places, so that J is
estimated with a standard error of sqrt((1 - J²) / 512): 0.03 at 0.8, 0.04 where nothing is alike.

One bit a place, since whole values would show a single shingle that two texts share, and would let a holder of the key
test for single phrases; see docs/security.md. What a signature is follows from this file alone and no library's
version, as signatures made at different places are compared.
"""

import hashlib
import re
import secrets
import stat
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedner.data.auditing.duplicates import Words, shingles_of
from fedner.errors import ConfigError
from fedner.files import is_private, write_private

NUM_BITS = 512
SHINGLE = 3
"""Words in a shingle, the same for all sites."""

_BLOCK = 1024
"""Shingles that are mixed at a time, which bounds the memory that a long text takes."""
_KEY = re.compile(rb"[0-9a-f]{64}\n?")
_WANTED = "the sites' shared key, 64 hexadecimal digits (`fedner data fingerprint --new-key FILE` makes one)"
Numbers = NDArray[np.uint64]


@dataclass(frozen=True)
class OverlapKey:
    """The secret that the sites of one comparison share: 32 random bytes that no output shows."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Return what shows whether two files were made with one key, and nothing of the key."""
        return hashlib.blake2b(b"", digest_size=8, key=self.secret, person=b"fedner key id").hexdigest()


def make_key(path: Path) -> OverlapKey:
    """Write a new key that only the owner of the file can read.

    Raises:
        ConfigError: there is a file already, or it cannot be written.
    """
    key = OverlapKey(secrets.token_bytes(32))
    try:
        write_private(path, f"{key.secret.hex()}\n".encode())
    except FileExistsError as error:
        raise ConfigError(f"{path}: expected a place for a new key, got a file; a key is never overwritten") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot write a key ({error.strerror})") from error
    return key


def read_key(path: Path) -> OverlapKey:
    """Read a key.

    Raises:
        ConfigError: the file is missing, is open to other users of the machine, or holds something else; nothing of
            what it holds is shown.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError(f"{path}: expected {_WANTED}, got no ordinary file")
        if not is_private(path):
            raise ConfigError(f"{path}: expected a key that only its owner can read; `chmod 600 {path}`")
        with path.open("rb") as file:
            content = file.read(128)
    except OSError as error:
        raise ConfigError(f"{path}: expected {_WANTED}, got none ({error.strerror})") from error
    if not _KEY.fullmatch(content):
        raise ConfigError(f"{path}: expected {_WANTED}, got something else")
    return OverlapKey(bytes.fromhex(content.decode()))


class Signer:
    """Signs texts with one key."""

    def __init__(self, key: OverlapKey) -> None:
        self._empty = hashlib.blake2b(digest_size=8, key=key.secret, person=b"fedner shingle")
        blocks = (
            hashlib.blake2b(number.to_bytes(2, "little"), key=key.secret, person=b"fedner places").digest()
            for number in range(NUM_BITS // 8)
        )
        self._places = np.frombuffer(b"".join(blocks), dtype="<u8").astype(np.uint64)

    def sign(self, words: Words) -> bytes:
        """Return the signature of a text, 64 bytes, the first place in the highest bit of the first."""
        hashes = self._hashes(shingles_of(words, SHINGLE))
        least = np.full(NUM_BITS, np.iinfo(np.uint64).max, dtype=np.uint64)
        for start in range(0, len(hashes), _BLOCK):
            mixed = _mix(hashes[start : start + _BLOCK, None] ^ self._places)
            np.minimum(least, mixed.min(axis=0), out=least)
        return np.packbits((least & np.uint64(1)).astype(np.uint8)).tobytes()

    def _hashes(self, shingles: Collection[bytes]) -> Numbers:
        digests: list[bytes] = []
        for shingle in shingles:
            state = self._empty.copy()
            state.update(shingle)
            digests.append(state.digest())
        return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def _mix(values: Numbers) -> Numbers:
    """Return the values after the finaliser of SplitMix64 (Steele et al. 2014), a bijection; in place."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values ^= values >> np.uint64(shift)
        values *= np.uint64(factor)
    values ^= values >> np.uint64(31)
    return values
