"""One seed per purpose: every generator comes from (run seed, purpose, round, site), never from a global one."""

import hashlib

import numpy as np


def derive_seed(seed: int, purpose: str, round_number: int = 0, site: str = "") -> int:
    """Return a 63-bit seed that depends on all four arguments and on nothing else.

    Hashing keeps the streams independent: neighbouring run seeds or rounds share no state.
    """
    key = f"{seed}\x1f{purpose}\x1f{round_number}\x1f{site}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") >> 1


def generator(seed: int, purpose: str, round_number: int = 0, site: str = "") -> np.random.Generator:
    """Return a NumPy generator seeded by `derive_seed`."""
    return np.random.default_rng(derive_seed(seed, purpose, round_number, site))
