"""Do sites hold one another's documents? Found without any site's text leaving it: `fedner data fingerprint`, `overlap`
and `lookup`.

A letter that was sent on lies at two hospitals; where one trains on it and the other tests, the score is too good, and
no audit within a site can see it. Each site signs its documents with a key that the sites share (signing.py) and lets
the signatures leave, if its policy allows it (fingerprints.py); whoever compares them needs no key (comparing.py); each
site learns which of its own documents are meant (lookup.py) and leaves them out by `data.exclude_documents`.
docs/security.md says who learns what.
"""

from fedner.data.overlap.comparing import Match, Overlap, Spot, find_overlap, read_findings, write_findings
from fedner.data.overlap.fingerprints import (
    Fingerprint,
    FingerprintTaken,
    OwnDocument,
    read_documents_of,
    read_fingerprint,
    take_fingerprint,
    write_documents,
    write_fingerprint,
)
from fedner.data.overlap.lookup import OwnFindings, OwnMatch, look_up
from fedner.data.overlap.signing import OverlapKey, make_key, read_key

__all__ = [
    "Fingerprint",
    "FingerprintTaken",
    "Match",
    "Overlap",
    "OverlapKey",
    "OwnDocument",
    "OwnFindings",
    "OwnMatch",
    "Spot",
    "find_overlap",
    "look_up",
    "make_key",
    "read_documents_of",
    "read_findings",
    "read_fingerprint",
    "read_key",
    "take_fingerprint",
    "write_documents",
    "write_findings",
    "write_fingerprint",
]
