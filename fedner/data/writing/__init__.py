"""Writers: documents with tags -> the forms that annotators have, with the offsets of the source."""

from fedner.data.writing.bioc import write_bioc
from fedner.data.writing.brat import write_brat
from fedner.data.writing.conll import two_columns, write_conll
from fedner.data.writing.jsonl import write_jsonl
from fedner.data.writing.marked import Entity, MarkedText, as_document, mark

__all__ = [
    "Entity",
    "MarkedText",
    "as_document",
    "mark",
    "two_columns",
    "write_bioc",
    "write_brat",
    "write_conll",
    "write_jsonl",
]
