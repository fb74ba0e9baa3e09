"""Signatures with a site's key, made and checked as Flower makes and checks those of its requests."""

from flwr.common.constant import SYSTEM_TIME_TOLERANCE, TIMESTAMP_TOLERANCE
from flwr.supercore.primitives.asymmetric import (
    bytes_to_public_key,
    public_key_to_bytes,
    sign_message,
    verify_signature,
)

__all__ = [
    "LARGEST_AGE_SECONDS",
    "LARGEST_LEAD_SECONDS",
    "bytes_to_public_key",
    "public_key_to_bytes",
    "sign_message",
    "verify_signature",
]

LARGEST_AGE_SECONDS = TIMESTAMP_TOLERANCE
"""How old a signature may be; to this comes what clocks may differ by, `LARGEST_LEAD_SECONDS`."""
LARGEST_LEAD_SECONDS = SYSTEM_TIME_TOLERANCE
"""How far in the server's future a signature may have been made."""
