r"""BRAT standoff: a folder of texts, `x.txt` with `x.ann` beside it; each pair is a document.

    T1	DRUG 0 7	Aspirin
    T2	DOSE 8 11;12 14	100 mg
    A1	Status T1 planned

Entities (T) and their attributes (A, M) are read; relations, events and notes are counted as ignored. Offsets count the
characters of the file as it stands, its line ends and byte order mark too. BRAT writes an entity that goes over a line
end as pieces with the line end between them; those are one piece here, as are all with nothing but blanks between them.

Source: https://brat.nlplab.org/standoff.html
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from fedner.data.reading.annotations import AnnotatedText, Annotation
from fedner.data.reading.lines import read_exact, read_lines
from fedner.data.reading.source import Place, ReadReport
from fedner.errors import DataError

_ENTITY = re.compile(r"(T\S+)\t(\S+) (\d{1,12} \d{1,12}(?:;\d{1,12} \d{1,12})*)(?:\t(.*))?")
_OTHER = re.compile(r"([R*EAMN#])\S*\t")
_OTHERS = {
    "R": "relations",
    "*": "relations",
    "E": "events",
    "A": "attributes of events",
    "M": "attributes of events",
    "N": "normalisations",
    "#": "notes",
}
_ATTRIBUTE = re.compile(r"[AM]\S*\t(\S+) (T\S+)(?: (.*))?")


def read_brat(path: str | Path, encoding: str, report: ReadReport) -> Iterator[AnnotatedText]:
    """Yield the documents of a folder, or of one `.txt` or `.ann`, in the order of their names.

    Raises:
        DataError: a file of a pair is missing, unreadable or wrong.
    """
    folder, texts = _texts(Path(path))
    for text_path in texts:
        annotations_path = text_path.with_suffix(".ann")
        if not annotations_path.is_file():
            raise DataError(f"no {annotations_path.name} beside it; an empty one says that it has no entity", text_path)
        yield AnnotatedText(
            text_path.relative_to(folder).with_suffix("").as_posix(),
            read_exact(text_path, encoding),
            tuple(_annotations(annotations_path, encoding, report)),
            Place(str(text_path), 1),
            metadata={"source": text_path.name},
        )


def read_folder_texts(path: str | Path, encoding: str = "utf-8") -> Iterator[AnnotatedText]:
    """Yield the texts of a folder, annotated or not, without their annotations.

    Raises:
        DataError: there is none, or one cannot be read.
    """
    folder = Path(path)
    texts = sorted(folder.rglob("*.txt"))
    if not texts:
        raise DataError("expected a folder of .txt files, got none in it", folder)
    for text_path in texts:
        name = text_path.relative_to(folder).with_suffix("").as_posix()
        yield AnnotatedText(name, read_exact(text_path, encoding), (), Place(str(text_path), 1))


def is_brat(path: Path) -> bool:
    """Return whether this is a folder with annotation files, or half of a pair."""
    if path.is_dir():
        return next(path.rglob("*.ann"), None) is not None
    return path.suffix.lower() == ".ann" or (path.suffix.lower() == ".txt" and path.with_suffix(".ann").is_file())


def _texts(path: Path) -> tuple[Path, list[Path]]:
    """Return the folder that ids are seen from, and the texts."""
    if not path.is_dir():
        return path.parent, [path.with_suffix(".txt")]
    texts, annotations = sorted(path.rglob("*.txt")), sorted(path.rglob("*.ann"))
    for annotation in annotations:
        if not annotation.with_suffix(".txt").is_file():
            raise DataError(f"no {annotation.with_suffix('.txt').name} beside it; put the text there", annotation)
    if not texts:
        raise DataError("expected a folder of .txt and .ann files, got none in it", path)
    return path, texts


def _annotations(path: Path, encoding: str, report: ReadReport) -> Iterator[Annotation]:
    if path.stat().st_size == 0:
        return
    entities: dict[str, Annotation] = {}
    attributes: dict[str, dict[str, str]] = {}
    for number, line in read_lines(path, encoding):
        if not line.strip():
            continue
        if line.startswith("T"):
            entity = _entity(line, path, number)
            if entity.place.inside in entities:
                name = entity.place.inside
                raise DataError(f"the name {name} is used twice; BRAT names each annotation once", path, number)
            entities[entity.place.inside] = entity
        elif attribute := _ATTRIBUTE.fullmatch(line):
            attributes.setdefault(attribute[2], {})[attribute[1]] = attribute[3] or ""
        elif other := _OTHER.match(line):
            report.ignored[_OTHERS[other[1]]] += 1
        else:
            raise DataError(
                f"expected a BRAT annotation such as 'T1\\tDRUG 0 7\\tAspirin', got {line[:80]!r}", path, number
            )
    for name, entity in entities.items():
        yield replace(entity, attributes=attributes.pop(name, {}))
    for of_no_entity in attributes.values():
        report.ignored["attributes"] += len(of_no_entity)


def _entity(line: str, path: Path, number: int) -> Annotation:
    match = _ENTITY.fullmatch(line)
    if match is None:
        raise DataError(
            f"expected an entity such as 'T1\\tDRUG 0 7\\tAspirin' (tabs around the middle), got {line[:80]!r}",
            path,
            number,
        )
    pieces = [tuple(map(int, piece.split(" "))) for piece in match[3].split(";")]
    return Annotation(
        match[2], tuple((start, end) for start, end in pieces), Place(str(path), number, f"{match[1]:.80}"), match[4]
    )
