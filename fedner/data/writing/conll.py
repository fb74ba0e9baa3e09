"""CoNLL columns: word, first character, character after the last, tag; `reading/conll.py` reads word and tag back."""

from collections.abc import Iterable
from typing import TextIO

from fedner.data.writing.marked import MarkedText


def write_conll(texts: Iterable[MarkedText], out: TextIO) -> None:
    """Write each text as a document, named by its id or its number from 0.

    Raises:
        DataError: a word or an id holds a tab or a line end, which columns cannot say.
    """
    for number, marked in enumerate(texts):
        source = marked.source
        name = str(number) if source.id is None else source.id
        if name != name.strip() or not name.isprintable():
            raise source.place.error(
                f"wanted a document id that a line can hold, found {name!r:.80}; write JSONL instead"
            )
        out.write(f"# newdoc id = {name}\n")
        for sentence in marked.sentences:
            for word, (start, end), tag in zip(sentence.words, sentence.offsets or (), sentence.tags, strict=True):
                if word.strip(" ") != word or any(mark in word for mark in "\t\n\r\0"):
                    raise source.place.error(
                        f"wanted words without tabs, line ends and blanks around them, found {word!r:.80}; write JSONL "
                        "instead"
                    )
                out.write(f"{word}\t{start}\t{end}\t{tag}\n")
            out.write("\n")
