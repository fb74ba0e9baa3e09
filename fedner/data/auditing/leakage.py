"""Does a comparison score documents that it trains on? The audit's question, asked of every comparison."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from fedner.data.auditing import AuditOptions
from fedner.data.auditing.duplicates import document_texts, find_duplicates
from fedner.data.corpus import Document
from fedner.errors import ConfigError


class Unchecked(StrEnum):
    """Why nothing is known of it; the values are how a report puts it, the names what metrics.json has."""

    off = "experiment.check_test is off"
    no_library = "that needs datasketch, as pip install 'fedner[audit]' brings it"
    at_sites = "the text lies at the sites, where fedner data audit and fedner data overlap look"


@dataclass(frozen=True)
class Leakage:
    """How many test documents lie in the training text of any site, exactly or nearly, although they are scored."""

    documents: int
    """Test documents that are scored."""
    left_out: int
    """Test documents that `data.exclude_documents` left out before, and that nobody scores."""
    leaked: int | None
    """Those of `documents` that lie in training text; None where that was not checked."""
    unchecked: Unchecked | None = None

    def to_json(self) -> dict[str, object]:
        """Return the fields as plain values, with what counts as nearly."""
        options = AuditOptions()
        unchecked = self.unchecked and self.unchecked.name
        return asdict(self) | {"unchecked": unchecked, "threshold": options.threshold, "shingle": options.shingle}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Leakage":
        """Read what `to_json` returned."""
        leaked, unchecked = plain["leaked"], plain["unchecked"]
        return cls(
            documents=int(plain["documents"]),
            left_out=int(plain["left_out"]),
            leaked=None if leaked is None else int(leaked),
            unchecked=None if unchecked is None else Unchecked[unchecked],
        )


def check_leakage(train: Iterable[Document], test: Iterable[Document], left_out: int, wanted: bool) -> Leakage:
    """Look for test documents in training text, as the audit does by default.

    Args:
        train: of all sites.
        test: of all sites.
        left_out: test documents that were left out on reading.
        wanted: whether to look; it takes a second for a thousand documents.
    """
    scored = tuple(test)
    if not wanted:
        return Leakage(len(scored), left_out, None, Unchecked.off)
    options = AuditOptions()
    texts = document_texts({"train": train, "test": scored})
    try:
        found = find_duplicates(texts, options.threshold, options.shingle)
    except ConfigError:  # a report must not want an extra
        return Leakage(len(scored), left_out, None, Unchecked.no_library)
    leaked = {each.place.document for each in found if (each.place.split, each.earlier.split) == ("test", "train")}
    return Leakage(len(scored), left_out, len(leaked))
