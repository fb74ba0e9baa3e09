"""BioC JSON: one collection, document by document, with the source's passages and offsets."""

import json
from collections.abc import Iterable, Sequence
from typing import TextIO

from fedner.data.reading import AnnotatedText
from fedner.data.writing.marked import Entity, MarkedText

_HEAD = '{"source": "fedner", "date": "", "key": "", "version": "1.0", "infons": {}, "documents": ['


def write_bioc(texts: Iterable[MarkedText], out: TextIO) -> None:
    """Write the texts as one collection; a text without an id is named by its number from 0."""
    out.write(_HEAD)
    for number, marked in enumerate(texts):
        out.write(",\n" if number else "\n")
        out.write(json.dumps(_document(marked, number), ensure_ascii=False))
    out.write("\n]}\n")


def _document(marked: MarkedText, number: int) -> dict[str, object]:
    source = marked.source
    entities = [(f"T{index}", entity) for index, entity in enumerate(marked.entities(), start=1)]
    parts = source.parts or ((0, len(source.text)),)
    return {
        "id": str(number) if source.id is None else source.id,
        "infons": dict(source.metadata),
        "passages": [_passage(source, part, entities) for part in parts],
        "annotations": [],
        "relations": [],
    }


def _passage(source: AnnotatedText, part: tuple[int, int], entities: Sequence[tuple[str, Entity]]) -> dict[str, object]:
    """Return the passage with the entities that begin in it."""
    start, end = part
    return {
        "offset": start,
        "infons": {},
        "text": source.text[start:end],
        "sentences": [],
        "annotations": [
            {
                "id": name,
                "infons": {"type": entity.label},
                "text": source.text[entity.start : entity.end],
                "locations": [{"offset": entity.start, "length": entity.end - entity.start}],
            }
            for name, entity in entities
            if start <= entity.start < end
        ],
        "relations": [],
    }
