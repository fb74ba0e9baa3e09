"""Documents that sites have in common, on a terminal; there is no text to quote."""

from collections import Counter

from rich.markup import escape
from rich.table import Table

from fedner.data.overlap.comparing import Overlap
from fedner.data.overlap.lookup import OwnFindings
from fedner.report.text.grid import ROWS, counted, grid


def overlap_lines(overlap: Overlap) -> list[str]:
    """Return the verdict on each site's dev and test documents in sentences."""
    return [
        _verdict(site, split, len(overlap.leaked(site, split)), sizes[split])
        for site, sizes in overlap.num_documents.items()
        for split in ("dev", "test")
        if sizes[split]
    ]


def overlap_tables(overlap: Overlap) -> list[Table]:
    """Return how many documents of which split have a like in which other; none if nothing was found."""
    if not overlap.matches:
        return []
    counts = grid(
        "documents that other sites have as well",
        ("documents of", "also at", "documents", "same"),
        ("documents", "same"),
    )
    pairs = [(each.document[:2], each.like[:2], each.similarity == 1) for each in overlap.matches]
    found, same = Counter(pair[:2] for pair in pairs), Counter(pair[:2] for pair in pairs if pair[2])
    for (document, like), number in found.items():
        counts.add_row(_at(*document), _at(*like), f"{number:,}", f"{same[document, like]:,}")
    matches = grid(counted("matches", len(overlap.matches)), ("document", "is like", "similarity"), ("similarity",))
    for each in sorted(overlap.matches, key=lambda each: each.like.split != "train")[:ROWS]:
        document, like = each.document, each.like
        left, right = _at(document.site, document.split), _at(like.site, like.split)
        matches.add_row(f"{left} {document.reference}", f"{right} {like.reference}", f"{each.similarity:.2f}")
    return [counts, matches]


def own_lines(found: OwnFindings) -> list[str]:
    """Return in a sentence what the findings mean for the site."""
    number = len(found.to_leave_out)
    if not number:
        return [f"{found.site}: none of its dev and test documents lies in another site's train"]
    return [f"{found.site}: {number:,} of its dev and test documents lie in another site's train, exactly or nearly"]


def own_tables(found: OwnFindings) -> list[Table]:
    """Return the site's documents that others have as well; none if there are none."""
    if not found.matches:
        return []
    table = grid(
        counted("own documents that others have as well", len(found.matches)),
        ("document", "is at", "similarity"),
        ("similarity",),
    )
    for each in sorted(found.matches, key=lambda each: each.split != "train")[:ROWS]:
        document = escape(f"{each.document.split} {each.document.id}")
        table.add_row(document, _at(each.site, each.split), f"{each.similarity:.2f}")
    return [table]


def _verdict(site: str, split: str, leaked: int, total: int) -> str:
    if not leaked:
        return f"{site}, {split}: clean, none of {total:,} documents lies in another site's train"
    share = f"{leaked:,} of {total:,} documents ({leaked / total:.1%})"
    return f"{site}, {split}: not clean, {share} lie in another site's train, exactly or nearly"


def _at(site: str, split: str) -> str:
    return escape(f"{site}, {split}")
