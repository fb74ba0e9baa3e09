r"""Column files in the manner of the CoNLL shared tasks: one word a line, a blank line after each sentence.

- Columns are parted by tabs if the first word's line has one (a cell may then hold spaces), else by runs of blanks.
  Only tab and space part columns: no-break and zero-width characters stay inside words.
- A `-DOCSTART-` line, `# newdoc [id = X]` or `# doc_id = X` opens a document. A file without any makes each sentence
  a document of its own.
- A line that starts with `# ` at the start of a sentence is a comment, unless it has the file's number of columns and
  a tag in the tag column: hashtags are words. Comments `# key = value` above a document's first word are its metadata.

Source: Tjong Kim Sang and De Meulder 2003, "Introduction to the CoNLL-2003 Shared Task"; CoNLL-U for the comments.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fedner.data.labels import LabelSet
from fedner.data.reading.lines import read_lines
from fedner.data.reading.schemes import is_tag
from fedner.data.reading.source import MAX_SENTENCE_WORDS, RawDocument, RawSentence, ReadReport, too_long
from fedner.errors import DataError

_KEY_VALUE = re.compile(r"# ([^\W\d][\w.]*)(?: ?= ?|: )(.*)")
_NEWDOC = re.compile(r"# newdoc(?: id)?(?:(?: ?= ?|: )(.*))?")
_DOCSTART = re.compile(r"-DOCSTART-(?:[ \t]|$)")
_DOCUMENT_ID_KEYS = ("doc_id", "document_id", "doc")
_NOT_METADATA = ("sent_id", "text", "global.columns")
_BLANKS = re.compile(r"[ \t]+")


@dataclass(frozen=True)
class ConllColumns:
    """Which column holds what; negative numbers count from the end."""

    word: int = 0
    tag: int = -1


def read_conll(
    path: str | Path, contract: LabelSet, report: ReadReport, columns: ConllColumns, encoding: str = "utf-8"
) -> Iterator[RawDocument]:
    """Yield the documents of a column file, with tags as written.

    Raises:
        DataError: as `read_lines`; a line has another number of columns, no such column or an empty word; a sentence is
            too long; words stand above the first document mark; there is no word at all.
    """
    state = _State(str(path), contract, columns, report)
    for number, line in read_lines(path, encoding):
        yield from state.feed(number, line.strip(" \t") if "\t" not in line else line.rstrip(" \t").lstrip(" "))
    yield from state.end_sentence()
    yield from state.end_document()
    if state.num_columns == 0:
        raise DataError("expected lines with a word and a tag, got none; is this the right file?", path)
    report.document_marks = state.marked


@dataclass
class _State:
    """Where the reader stands in one file."""

    path: str
    contract: LabelSet
    columns: ConllColumns
    report: ReadReport
    num_columns: int = 0
    tabs: bool = False
    marked: bool = False
    num_documents: int = 0
    document_id: str | None = None
    first_line: int = 0
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    sentences: list[RawSentence] = field(default_factory=list[RawSentence])
    words: list[str] = field(default_factory=list[str])
    tags: list[str] = field(default_factory=list[str])

    def feed(self, number: int, line: str) -> Iterator[RawDocument]:
        """Take one line, and yield the document that it closes, if any."""
        if not line.strip(" \t"):
            yield from self.end_sentence()
        elif _DOCSTART.match(line):
            yield from self.open_document(number, None)
        elif line.startswith("# ") and not self.words and self.is_comment(line):
            yield from self.comment(number, line)
        else:
            self.add_word(number, line)

    def cells(self, line: str) -> list[str]:
        """Return the columns of a line; the first word's line decides how they are parted."""
        tabs = self.tabs if self.num_columns else "\t" in line
        return [cell.strip(" ") for cell in line.split("\t")] if tabs else _BLANKS.split(line.strip(" \t"))

    def is_comment(self, line: str) -> bool:
        """Return whether a line is a comment, not the word '#'."""
        if _KEY_VALUE.fullmatch(line) or _NEWDOC.fullmatch(line):
            return True
        cells = self.cells(line)
        if self.num_columns:
            return len(cells) != self.num_columns or not is_tag(cells[self.columns.tag], self.contract)
        # Nothing is known about the columns yet, so a last word that happens to be a type's name proves nothing.
        tag = cells[self.columns.tag] if -len(cells) <= self.columns.tag < len(cells) else ""
        return tag in self.contract.type_names or not is_tag(tag, self.contract)

    def comment(self, number: int, line: str) -> Iterator[RawDocument]:
        """Take a document mark or metadata out of a comment."""
        if newdoc := _NEWDOC.fullmatch(line):
            yield from self.open_document(number, newdoc[1] or None)
        elif pair := _KEY_VALUE.fullmatch(line):
            key, value = pair[1], pair[2].strip()
            if key in _DOCUMENT_ID_KEYS:
                if value != self.document_id:
                    yield from self.open_document(number, value)
            elif not self.sentences and key not in _NOT_METADATA:
                self.metadata[key] = value

    def add_word(self, number: int, line: str) -> None:
        """Add one word's line to the sentence."""
        cells = self.cells(line)
        if self.num_columns == 0:
            self.check_columns(number, cells)
            self.num_columns, self.tabs = len(cells), "\t" in line
        if len(cells) != self.num_columns:
            raise DataError(
                f"expected {self.num_columns} columns parted by {'tabs' if self.tabs else 'blanks'} as in the file's "
                f"first line of text, got {len(cells)} in {line[:80]!r}; mend the line, or put a blank line between "
                "sentences",
                self.path,
                number,
            )
        word, tag = cells[self.columns.word], cells[self.columns.tag]
        if not word or not tag:
            raise DataError(f"expected a word and a tag, got {line[:80]!r}; fill or remove the line", self.path, number)
        if len(self.words) == MAX_SENTENCE_WORDS:
            raise too_long(self.path, self.first_line)
        if not self.words:
            self.first_line = number
        self.words.append(word)
        self.tags.append(tag)

    def check_columns(self, number: int, cells: list[str]) -> None:
        """Refuse a first line that cannot hold a word and a tag where the configuration looks for them."""
        if len(cells) < 2:
            raise DataError(f"expected at least 2 columns (word, tag), got 1: {cells[0][:80]!r}", self.path, number)
        for knob, column in (("word_column", self.columns.word), ("tag_column", self.columns.tag)):
            if not -len(cells) <= column < len(cells):
                raise DataError(
                    f"expected column {column} (data.{knob}), got {len(cells)} columns: {' | '.join(cells)[:80]}",
                    self.path,
                    number,
                )

    def end_sentence(self) -> Iterator[RawDocument]:
        """Close the sentence; without document marks it is a document."""
        if self.words:
            self.sentences.append(RawSentence(tuple(self.words), tuple(self.tags), self.first_line, line_step=1))
            self.words, self.tags = [], []
            if not self.marked:
                yield from self.end_document()

    def open_document(self, number: int, document_id: str | None) -> Iterator[RawDocument]:
        """Close the document above line `number` and open the next."""
        yield from self.end_sentence()
        if not self.marked and self.num_documents:
            raise DataError(
                "the first document mark stands below sentences that belong to no document; put a mark "
                "(-DOCSTART-) above the first sentence too, or remove all marks",
                self.path,
                number,
            )
        yield from self.end_document()
        self.marked, self.document_id = True, document_id

    def end_document(self) -> Iterator[RawDocument]:
        """Yield the document read so far, if it has sentences."""
        if self.sentences:
            yield RawDocument(self.document_id, tuple(self.sentences), self.metadata)
            self.num_documents += 1
        elif self.marked:
            self.report.empty_documents += 1
        self.sentences, self.metadata, self.document_id = [], {}, None
