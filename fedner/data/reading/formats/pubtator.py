r"""PubTator: abstracts with their title, and a tab-separated line for each mention.

    7|t|Aspirin in gout
    7|a|It did not help.
    7	0	7	Aspirin	Chemical	D001241

A blank line ends a document. Offsets count the characters of the title, one for the line end, and the abstract; title
and abstract share no sentence. Lines of relations are counted as ignored.

Source: Wei et al. 2013, "PubTator: a web-based text mining tool for assisting biocuration".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fedner.data.reading.annotations import AnnotatedText, Annotation
from fedner.data.reading.lines import read_lines
from fedner.data.reading.source import Place, ReadReport

TEXT_LINE = re.compile(r"([^|\t]+)\|([ta])\|(.*)")
_NUMBER = re.compile(r"-?\d{1,12}")


@dataclass
class _Open:
    """The document that is being read."""

    id: str
    title: str
    place: Place
    abstract: str | None = None
    annotations: list[Annotation] = field(default_factory=list[Annotation])

    def close(self) -> AnnotatedText:
        """Return it as it stands."""
        start = len(self.title) + 1
        abstract = self.abstract or ""
        parts = ((0, len(self.title)), (start, start + len(abstract)))
        return AnnotatedText(self.id, f"{self.title}\n{abstract}", tuple(self.annotations), self.place, parts=parts)


def read_pubtator(path: str | Path, encoding: str, report: ReadReport) -> Iterator[AnnotatedText]:
    """Yield the documents of a file.

    Raises:
        DataError: as `read_lines`; a line is none of the three kinds or belongs to another document; there is no text.
    """
    document: _Open | None = None
    number = 0
    for number, line in read_lines(path, encoding):
        place = Place(str(path), number)
        if not line.strip():
            if document is not None:
                yield document.close()
            document = None
        elif (text := TEXT_LINE.fullmatch(line)) is not None:
            if text[2] == "t" and document is not None:
                yield document.close()
            document = _with_text(document, text, place)
        else:
            _add(document, line, place, report)
    if document is not None:
        yield document.close()


def _with_text(document: _Open | None, line: re.Match[str], place: Place) -> _Open:
    """Open a document with its title, or give it its abstract."""
    if line[2] == "t":
        return _Open(line[1], line[3], place)
    if document is None or document.id != line[1] or document.abstract is not None:
        raise place.error(f"the abstract of {line[1]!r:.80} has no title above it; put it there")
    document.abstract = line[3]
    return document


def _add(document: _Open | None, line: str, place: Place, report: ReadReport) -> None:
    """Add a mention."""
    cells = line.split("\t")
    if document is None or cells[0] != document.id:
        raise place.error(
            f"expected a title such as '7|t|Aspirin in gout' or a mention of the document above, got {line[:80]!r}"
        )
    if len(cells) < 5 or not _NUMBER.fullmatch(cells[1]) or not _NUMBER.fullmatch(cells[2]):
        if len(cells) >= 4 and not _NUMBER.fullmatch(cells[1]):
            report.ignored["relations"] += 1
            return
        raise place.error(
            f"expected a mention such as '7\\t0\\t7\\tAspirin\\tChemical\\tD001241' (tabs), got {line[:80]!r}"
        )
    document.annotations.append(Annotation(cells[4].strip(), ((int(cells[1]), int(cells[2])),), place, cells[3]))
