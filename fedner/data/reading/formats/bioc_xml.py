"""BioC XML, parsed document by document with Python's own expat.

An XML file can ask its reader to fetch other files or to blow up a few bytes into gigabytes. Both need entities, so
that a file that declares any, or uses one that is not XML's own, is refused; the usual `<!DOCTYPE collection SYSTEM
"BioC.dtd">` is accepted and never fetched.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from fedner.data.reading.annotations import AnnotatedText, Annotation
from fedner.data.reading.formats.bioc import Passage, annotation, assemble
from fedner.data.reading.json_values import whole
from fedner.data.reading.source import Place, ReadReport
from fedner.errors import DataError

_CHUNK_BYTES = 64 * 1024
_MAX_DEPTH = 64


@dataclass(slots=True)
class _Element:
    """An XML element whose inside is known once it is closed."""

    name: str
    attributes: dict[str, str]
    place: Place
    children: list["_Element"] = field(default_factory=list["_Element"])
    texts: list[str] = field(default_factory=list[str])

    def all(self, name: str) -> list["_Element"]:
        """Return the children of that name."""
        return [child for child in self.children if child.name == name]

    def text_of(self, name: str) -> str | None:
        """Return what the first child of that name says, or None without one."""
        found = self.all(name)
        return "".join(found[0].texts) if found else None

    def number(self, name: str) -> int:
        """Return the whole number in a child of that name, or else in an attribute."""
        text = self.text_of(name)
        text = (self.attributes.get(name, "") if text is None else text).strip()
        if not (text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() and len(text) <= 12):
            raise self.place.error(f"{name}: expected a whole number, got {text!r:.80}")
        return int(text)

    def infons(self) -> dict[str, str]:
        """Return the infons by key."""
        return {child.attributes.get("key", ""): "".join(child.texts) for child in self.all("infon")}


def read_bioc_xml(path: str | Path, encoding: str, report: ReadReport) -> Iterator[AnnotatedText]:
    """Yield the documents of a collection; the XML declaration, not `encoding`, says how the characters are written.

    Raises:
        DataError: the file is unreadable or no such XML, declares entities, or something is missing or wrong.
    """
    for element in _documents(path):
        yield _document(element, report)


def _document(element: _Element, report: ReadReport) -> AnnotatedText:
    passages: list[Passage] = []
    annotations: list[Annotation] = []
    for passage in element.all("passage"):
        sentences = passage.all("sentence")
        for unit in [passage] if passage.text_of("text") is not None else sentences:
            text = unit.text_of("text")
            if text is None:
                raise unit.place.error("expected a <text> in the sentence, got none")
            passages.append(Passage(unit.number("offset"), text, unit.place))
        for holder in (passage, *sentences):
            annotations += _annotations(holder, report)
    annotations += _annotations(element, report)
    return assemble(element.text_of("id") or None, passages, annotations, element.place, element.infons())


def _annotations(holder: _Element, report: ReadReport) -> Iterator[Annotation]:
    report.ignored["relations"] += len(holder.all("relation"))
    for found in holder.all("annotation"):
        locations = [(location.number("offset"), location.number("length")) for location in found.all("location")]
        yield from annotation(found.infons(), locations, found.text_of("text"), found.place, report)


def _documents(path: str | Path) -> Iterator[_Element]:
    """Yield the `document` elements, each as soon as it is closed."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    tree = _Tree(str(path), parser)
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.characters
    parser.EntityDeclHandler = tree.refuse("declares an entity")
    parser.SkippedEntityHandler = tree.refuse("uses an entity that is not XML's own")
    parser.ExternalEntityRefHandler = tree.refuse("uses an external entity")
    try:
        with Path(path).open("rb") as file:
            done = False
            while not done:
                chunk = file.read(_CHUNK_BYTES)
                done = not chunk
                parser.Parse(chunk, done)
                yield from tree.closed
                tree.closed.clear()
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code) or "damaged"
        raise DataError(
            f"expected XML, got it invalid ({reason}); was the file cut off?", path, error.lineno
        ) from error
    except (LookupError, UnicodeError, ValueError) as error:  # what Python's side of expat says of a strange encoding
        raise DataError("expected XML in an encoding that XML parsers know; convert it to UTF-8", path, 1) from error
    except OSError as error:
        raise DataError(
            f"the file cannot be read ({error.strerror}); check the path and its permissions", path
        ) from error


class _Tree:
    """The elements that are open, and the documents that were closed."""

    def __init__(self, path: str, parser: expat.XMLParserType) -> None:
        self.path = path
        self.parser = parser
        self.open: list[_Element] = []
        self.closed: list[_Element] = []

    @property
    def place(self) -> Place:
        """Where the parser stands."""
        return Place(self.path, self.parser.CurrentLineNumber)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Open an element."""
        if not self.open and name != "collection":
            raise self.place.error(f"expected a BioC <collection>, got <{name[:80]}>; is this the right file?")
        if len(self.open) == _MAX_DEPTH:
            raise self.place.error(f"expected elements nested at most {_MAX_DEPTH} deep, got more")
        inside = f"{name} {attributes['id']}" if name == "annotation" and attributes.get("id") else name
        self.open.append(_Element(name, attributes, Place(self.path, self.parser.CurrentLineNumber, inside)))

    def end(self, name: str) -> None:
        """Close an element; only what lies in a document is kept."""
        element = self.open.pop()
        if name == "document" and len(self.open) == 1:
            self.closed.append(element)
        elif len(self.open) > 1:
            self.open[-1].children.append(element)

    def characters(self, text: str) -> None:
        """Add text to the innermost element."""
        self.open[-1].texts.append(whole(text, self.place))

    def refuse(self, reason: str) -> Callable[..., int]:
        """Return a handler that refuses the file."""

        def handler(*_: object) -> int:
            raise self.place.error(f"the XML {reason}, which could make it fetch or blow up; write the characters out")

        return handler
