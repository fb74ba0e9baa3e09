"""BioC, as JSON and as XML: collections of documents whose passages say at which character of the document they begin.

A document's text is put together from its passages (their sentences, where they carry the text) at the offsets that
they name, so that the offsets of annotations hold in it as they are; what lies between passages is filled with line
ends. No sentence goes over the end of a passage. An annotation's type is its infon `type`; the others are its
attributes. Relations are counted as ignored, and so are annotations without a location, which say something about the
document.

The `bioc` package reads the same files; ours says where in the file something is wrong, reads XML document by document,
and resolves no entities. Source: Comeau et al. 2013, "BioC: a minimalist approach to interoperability".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedner.data.reading.annotations import AnnotatedText, Annotation
from fedner.data.reading.json_values import Value, read_values
from fedner.data.reading.source import Place, ReadReport

BIOC_COLLECTIONS = ("documents", "PubTator3")
"""Keys under which BioC JSON keeps its documents."""
_TYPE = "type"
MAX_GAP = 1_000_000
"""Most characters between two passages; a larger hole comes from a damaged offset."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document's text and where it begins."""

    offset: int
    text: str
    place: Place


def assemble(
    document_id: str | None,
    passages: Sequence[Passage],
    annotations: Sequence[Annotation],
    place: Place,
    metadata: Mapping[str, str],
) -> AnnotatedText:
    """Put a document together.

    Raises:
        DataError: passages overlap or are not in order, or lie too far apart.
    """
    parts: list[tuple[int, int]] = []
    text: list[str] = []
    end = 0
    for passage in passages:
        if passage.offset < end:
            raise passage.place.error(
                f"begins at character {passage.offset}, but the passage before it ends at {end}; passages must be in "
                "order and apart, and their offsets count characters, not bytes"
            )
        if passage.offset - end > MAX_GAP:
            raise passage.place.error(
                f"begins {passage.offset - end:,} characters after the passage before it; mend it"
            )
        text += ["\n" * (passage.offset - end), passage.text]
        end = passage.offset + len(passage.text)
        parts.append((passage.offset, end))
    return AnnotatedText(document_id, "".join(text), tuple(annotations), place, tuple(parts), metadata=metadata)


def annotation(
    infons: Mapping[str, str],
    locations: Sequence[tuple[int, int]],
    quoted: str | None,
    place: Place,
    report: ReadReport,
) -> Iterator[Annotation]:
    """Yield the annotation with its locations (offset, length), if it has any.

    Raises:
        DataError: it has no type.
    """
    if not locations:
        report.ignored["annotations without a location"] += 1
        return
    if not infons.get(_TYPE):
        raise place.error("expected an infon `type` that names the entity type, got none; add it")
    others = {key: value for key, value in infons.items() if key != _TYPE}
    yield Annotation(
        infons[_TYPE], tuple((offset, offset + length) for offset, length in locations), place, quoted, others
    )


def read_bioc_json(path: str | Path, encoding: str, report: ReadReport) -> Iterator[AnnotatedText]:
    """Yield the documents of a collection, of an array of documents, or of one document a line.

    Raises:
        DataError: as `read_values`; something is missing or of the wrong form.
    """
    for document in read_values(path, BIOC_COLLECTIONS, encoding):
        passages: list[Passage] = []
        annotations: list[Annotation] = []
        for passage in document.field("passages").items():
            units = [passage] if passage.has("text") else [*passage.list_of("sentences")]
            passages += [
                Passage(unit.field("offset").number(), unit.field("text").text(), unit.place) for unit in units
            ]
            for holder in (passage, *passage.list_of("sentences")):
                annotations += _annotations(holder, report)
        annotations += _annotations(document, report)
        metadata = document.field("infons").scalars() if document.has("infons") else {}
        identity = document.field("id").name() if document.has("id") else None
        yield assemble(identity, passages, annotations, document.place, metadata)


def _annotations(holder: Value, report: ReadReport) -> Iterator[Annotation]:
    report.ignored["relations"] += len(holder.list_of("relations"))
    for found in holder.list_of("annotations"):
        locations = [
            (location.field("offset").number(), location.field("length").number())
            for location in found.list_of("locations")
        ]
        infons: dict[str, str] = {}
        if found.has("infons"):
            infons = found.field("infons").scalars((_TYPE,))
            if found.field("infons").has(_TYPE):
                infons[_TYPE] = found.field("infons").field(_TYPE).text()
        quoted = found.field("text").text() if found.has("text") else None
        yield from annotation(infons, locations, quoted, found.place, report)
