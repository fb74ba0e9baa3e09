"""CoNLL columns, which `reading/conll.py` reads back: with the offsets of the source, or word and tag alone."""

from collections.abc import Iterable
from typing import TextIO

from fedner.data.corpus import Document
from fedner.data.writing.marked import MarkedText
from fedner.errors import DataError


def two_columns(documents: Iterable[Document]) -> str:
    """Return documents as CoNLL-2003 has them: a word and its tag a line, a mark before each document, no ids.

    Raises:
        DataError: a word has a blank or a line end in it or is a document mark, which such columns cannot say.
    """
    lines: list[str] = []
    for document in documents:
        lines += ["-DOCSTART- O", ""]
        for sentence in document.sentences:
            for word, tag in zip(sentence.words, sentence.tags, strict=True):
                if not word or any(mark in word for mark in " \t\n\r\0") or word.startswith("-DOCSTART-"):
                    raise DataError(f"document '{document.id}': expected words without blanks, got {word!r:.80}")
                lines.append(f"{word} {tag}")
            lines.append("")
    return "".join(f"{line}\n" for line in lines)


def write_conll(texts: Iterable[MarkedText], out: TextIO) -> None:
    """Write each text as a document, named by its id or its number from 0; word, start, end (exclusive) and tag a line.

    Raises:
        DataError: a word or an id holds a tab or a line end, which columns cannot say.
    """
    for number, marked in enumerate(texts):
        source = marked.source
        name = str(number) if source.id is None else source.id
        if name != name.strip() or not name.isprintable():
            raise source.place.error(
                f"expected a document id that a line can hold, got {name!r:.80}; write JSONL instead"
            )
        out.write(f"# newdoc id = {name}\n")
        for sentence in marked.sentences:
            for word, (start, end), tag in zip(sentence.words, sentence.offsets or (), sentence.tags, strict=True):
                if word.strip(" ") != word or any(mark in word for mark in "\t\n\r\0"):
                    raise source.place.error(
                        f"expected words without tabs, line ends and blanks around them, got {word!r:.80}; write JSONL "
                        "instead"
                    )
                out.write(f"{word}\t{start}\t{end}\t{tag}\n")
            out.write("\n")
