"""doccano's JSONL export of sequence labelling.

    {"id": 7, "text": "Aspirin 100 mg", "label": [[0, 7, "DRUG"]]}
    {"id": 7, "text": "Aspirin 100 mg", "entities": [{"id": 1, "label": "DRUG", "start_offset": 0, "end_offset": 7}]}

The second form comes from projects with relations, which are counted as ignored. Offsets count characters; a project
with doccano's option to count grapheme clusters must be exported without it. Further fields are metadata.
"""

from collections.abc import Iterator
from pathlib import Path

from fedner.data.reading.annotations import AnnotatedText, Annotation
from fedner.data.reading.json_values import Value, read_values
from fedner.data.reading.source import ReadReport

_KEYS = ("id", "text", "data", "label", "labels", "entities", "relations", "comments", "Comments")


def read_doccano(path: str | Path, encoding: str, report: ReadReport) -> Iterator[AnnotatedText]:
    """Yield each row as a document.

    Raises:
        DataError: as `read_values`; something is missing or of the wrong form.
    """
    for row in read_values(path, encoding=encoding):
        report.ignored["relations"] += len(row.list_of("relations"))
        key = next((name for name in ("entities", "label", "labels") if row.has(name)), None)
        spans = () if key is None else tuple(_span(entry) for entry in row.list_of(key))
        identity = row.field("id").name() if row.has("id") else None
        text = row.field("text", "data").text()
        metadata = row.scalars(_KEYS)
        yield AnnotatedText(identity, text, spans, row.place, metadata=metadata, annotated=key is not None)


def _span(entry: Value) -> Annotation:
    if isinstance(entry.value, dict):
        start, end, label = (entry.field(name) for name in ("start_offset", "end_offset", "label"))
    else:
        cells = list(entry.items())
        if len(cells) != 3:
            raise entry.wrong("[start, end, label]")
        start, end, label = cells
    return Annotation(label.text(), ((start.number(), end.number()),), entry.place)
