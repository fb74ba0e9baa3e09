"""One JSON object a line, as `reading/jsonl.py` reads it back: the text, and its entities as spans of characters."""

import json
from collections.abc import Iterable
from typing import TextIO

from fedner.data.writing.marked import MarkedText


def write_jsonl(texts: Iterable[MarkedText], out: TextIO) -> None:
    """Write each text on a line, with its id and metadata where it has some."""
    for marked in texts:
        source = marked.source
        row: dict[str, object] = {} if source.id is None else {"id": source.id}
        row["text"] = source.text
        row["spans"] = [
            {"start": start, "end": end, "label": label, "text": source.text[start:end]}
            for label, start, end in marked.entities()
        ]
        if source.metadata:
            row["metadata"] = dict(source.metadata)
        out.write(json.dumps(row, ensure_ascii=False) + "\n")
