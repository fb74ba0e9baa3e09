"""BRAT standoff: a folder with `x.txt`, the source's text character by character, and `x.ann` beside it.

As BRAT does, an entity that goes over line ends is written in pieces between them.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from fedner.data.writing.marked import Entity, MarkedText
from fedner.errors import DataError

_BETWEEN_LINE_ENDS = re.compile(r"[^\r\n]+")
_UNSAFE = re.compile(r"[^\w.-]")


def write_brat(texts: Iterable[MarkedText], folder: str | Path) -> None:
    """Write a pair of files for each text, named by its id or its number from 0; `a/b` becomes a file in a folder.

    Raises:
        DataError: a file is there already, or two ids become the same name.
    """
    root = Path(folder)
    for number, marked in enumerate(texts):
        name = str(number) if marked.source.id is None else _file_name(marked.source.id)
        text, annotations = (root / f"{name}{suffix}" for suffix in (".txt", ".ann"))
        for path in (text, annotations):
            if path.exists():
                raise DataError("is there already and would be overwritten; name a new folder", path)
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text(marked.source.text, encoding="utf-8", newline="")
        lines = _lines(marked)
        annotations.write_text("".join(lines), encoding="utf-8", newline="")


def _file_name(identity: str) -> str:
    """Return the id as a path that cannot leave the folder; what file names had better not hold becomes `_`."""
    parts = [_UNSAFE.sub("_", part) for part in identity.split("/")]
    return "/".join(part if part.strip(".") else f"_{part}" for part in parts)


def _lines(marked: MarkedText) -> Iterator[str]:
    text = marked.source.text
    for number, entity in enumerate(marked.entities(), start=1):
        pieces = [(entity.start + start, entity.start + end) for start, end in _pieces(text, entity)]
        where = ";".join(f"{start} {end}" for start, end in pieces)
        quoted = " ".join(text[start:end] for start, end in pieces)
        yield f"T{number}\t{entity.label} {where}\t{quoted}\n"


def _pieces(text: str, entity: Entity) -> Iterator[tuple[int, int]]:
    """Yield the stretches of an entity that no line end parts, without the blanks at their ends."""
    for match in _BETWEEN_LINE_ENDS.finditer(text[entity.start : entity.end]):
        inner = match[0].strip()
        if inner:
            start = match.start() + match[0].index(inner)
            yield start, start + len(inner)
