"""The findings of an audit on a terminal: the site's own, since they quote its text."""

from collections import Counter
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from fedner.data.auditing import AuditReport, Place, Suspicion
from fedner.data.auditing.duplicates import Duplicate, Words
from fedner.data.corpus import SPLITS
from fedner.report.text.grid import ROWS, counted, grid

_LETTERS = 60


def audit_lines(report: AuditReport) -> list[str]:
    """Return the verdict on each split in sentences."""
    lines: list[str] = []
    for split in ("dev", "test"):
        if split in report.num_documents:
            lines.append(_verdict(report, split))
    absent = [f"{each.type} ({each.split})" for each in report.scarce if each.absent]
    if absent:
        lines.append(f"absent types: {', '.join(absent)}")
    rare = [f"{each.type} {each.entities} ({each.split})" for each in report.scarce if not each.absent]
    if rare:
        lines.append(f"rare types, below {report.options.rare} entities: {', '.join(rare)}")
    return lines


def audit_tables(report: AuditReport) -> list[Table]:
    """Return a table for each kind of finding that occurs; the JSON report has the findings beyond the first ten."""
    tables: list[Table] = []
    for title, found in (("document", report.documents), ("sentence", report.sentences)):
        if found:
            tables += [_counts(title, found), _duplicates(title, found)]
    if report.inconsistencies:
        tables.append(_inconsistencies(report))
    if report.long:
        tables.append(_long(report))
    if report.suspicious:
        tables += [_suspected_counts(report.suspicious), _suspected(report.suspicious)]
    return tables


def _verdict(report: AuditReport, split: str) -> str:
    total, leaked = report.num_documents[split], len(report.leaked(split))
    if not leaked:
        return f"{split}: clean, none of {total:,} documents lies in train"
    return (
        f"{split}: not clean, {leaked:,} of {total:,} documents ({leaked / total:.1%}) lie in train, exactly or nearly"
    )


def _counts(what: str, found: Sequence[Duplicate]) -> Table:
    table = grid(f"duplicate {what}s", (f"{what} of", "stands in", "exact", "near"), numbers=("exact", "near"))
    pairs = Counter((each.place.split, each.earlier.split, each.exact) for each in found)
    for place, earlier in sorted({(place, earlier) for place, earlier, _ in pairs}):
        table.add_row(place, earlier, f"{pairs[place, earlier, True]:,}", f"{pairs[place, earlier, False]:,}")
    return table


def _duplicates(what: str, found: Sequence[Duplicate]) -> Table:
    # What crosses splits spoils scores, so it comes first.
    chosen = sorted(found, key=lambda each: each.place.split == each.earlier.split)
    table = grid(
        counted(f"duplicate {what}s", len(found)), (what, "stands already as", "similarity", "text"), ("similarity",)
    )
    for each in chosen[:ROWS]:
        similarity = "exact" if each.exact else f"{each.similarity:.2f}"
        table.add_row(_where(each.place), _where(each.earlier), similarity, _quoted(each.words))
    return table


def _inconsistencies(report: AuditReport) -> Table:
    title = counted("annotated now so, now so", len(report.inconsistencies))
    table = grid(title, ("words", "annotated as", "plain", "first places"), ("plain",))
    for each in report.inconsistencies[:ROWS]:
        types = ", ".join(f"{name} {number:,}" for name, number in each.types.items())
        places = "; ".join(f"{escape(kind)} {_where(place)}" for kind, place in each.first.items())
        table.add_row(_quoted(each.words), escape(types), f"{each.plain:,}", places)
    return table


def _long(report: AuditReport) -> Table:
    table = grid(
        counted("unusually long", len(report.long)), ("place", "words", "usual up to"), ("words", "usual up to")
    )
    for each in report.long[:ROWS]:
        table.add_row(_where(each.place), f"{each.words:,}", f"{each.usual:,}")
    return table


def _suspected_counts(found: Sequence[Suspicion]) -> Table:
    table = grid("the model contradicts", ("annotated", "believed", *SPLITS), numbers=SPLITS)
    pairs = Counter((each.annotated, each.believed, each.place.split) for each in found)
    kinds = Counter((each.annotated, each.believed) for each in found)
    for annotated, believed in sorted(kinds, key=lambda kind: (-kinds[kind], kind)):
        numbers = (f"{pairs[annotated, believed, split]:,}" for split in SPLITS)
        table.add_row(escape(annotated), escape(believed), *numbers)
    return table


def _suspected(found: Sequence[Suspicion]) -> Table:
    title = counted("perhaps annotated wrongly", len(found))
    table = grid(title, ("place", "words", "annotated", "believed", "probability"), ("probability",))
    for each in found[:ROWS]:
        kinds = (escape(each.annotated), escape(each.believed))
        table.add_row(_where(each.place), _quoted(each.words), *kinds, f"{each.probability:.3f}")
    return table


def _where(place: Place) -> str:
    sentence = "" if place.sentence is None else f" sentence {place.sentence + 1}"
    return escape(f"{place.split} {place.document}{sentence}")


def _quoted(words: Words) -> str:
    text = " ".join(words)
    return escape(text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…")
