"""At a site: which of its own documents the findings are about."""

from collections.abc import Mapping
from dataclasses import dataclass

from fedner.data.overlap.comparing import Overlap
from fedner.data.overlap.fingerprints import OwnDocument
from fedner.errors import DataError


@dataclass(frozen=True)
class OwnMatch:
    """One of the site's own documents, and where the most similar one of another site's split is."""

    document: OwnDocument
    site: str
    split: str
    similarity: float


@dataclass(frozen=True)
class OwnFindings:
    """The findings about one site's documents."""

    site: str
    matches: tuple[OwnMatch, ...]

    @property
    def to_leave_out(self) -> tuple[str, ...]:
        """Return the ids of dev and test documents that lie in another site's train, for `data.exclude_documents`."""
        leaked = [each for each in self.matches if each.split == "train" and each.document.split != "train"]
        return tuple(dict.fromkeys(each.document.id for each in leaked))

    def to_json(self) -> dict[str, object]:
        """Return the findings as plain values."""
        return {
            "site": self.site,
            "leave_out": list(self.to_leave_out),
            "matches": [
                {
                    "document": each.document._asdict(),
                    "like": {"site": each.site, "split": each.split},
                    "similarity": each.similarity,
                }
                for each in self.matches
            ],
        }


def look_up(overlap: Overlap, site: str, documents: Mapping[str, OwnDocument]) -> OwnFindings:
    """Return what the findings say of a site's own documents.

    Raises:
        DataError: the findings know nothing of the site, or name a document that its fingerprint does not have.
    """
    if site not in overlap.num_documents:
        compared = ", ".join(overlap.num_documents)
        raise DataError(f"expected findings on site {site!r}, got findings on {compared}; was its file compared?")
    own = [each for each in overlap.matches if each.document.site == site]
    for each in own:
        known = documents.get(each.document.reference)
        if known is None or known.split != each.document.split:
            raise DataError(
                f"expected references of the fingerprint of {site!r} that was kept here, got "
                f"{each.document.reference}, which is none; a later or earlier fingerprint was compared"
            )
    return OwnFindings(
        site,
        tuple(
            OwnMatch(documents[each.document.reference], each.like.site, each.like.split, each.similarity)
            for each in own
        ),
    )
