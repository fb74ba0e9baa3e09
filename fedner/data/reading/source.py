"""The output of every reader: documents as they stand in the source, before their tags are interpreted.

A `Source` is a function that returns a fresh iterator and counts what it meets into the report it is given, so that a
file can be read twice (once for the tagging scheme, once for the text) without ever being held in memory.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fedner.config import TagScheme
from fedner.errors import DataError

MAX_SENTENCE_WORDS = 20_000
"""Longest sentence accepted. A real sentence never gets there; a file whose blank lines were lost does."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands, for refusals; `inside` is a path within the line, such as `annotations[2]` or `T3`."""

    path: str
    line: int | None
    inside: str = ""

    def error(self, message: str) -> DataError:
        """Return the refusal of what stands here."""
        return DataError(f"{self.inside}: {message}" if self.inside else message, self.path, self.line)

    def within(self, step: str) -> "Place":
        """Return the place one step further in: a key, or an index in brackets."""
        dot = "." if self.inside and not step.startswith("[") else ""
        return Place(self.path, self.line, f"{self.inside}{dot}{step}")

    def __str__(self) -> str:
        inside = f" ({self.inside})" if self.inside else ""
        return f"{self.path}{'' if self.line is None else f':{self.line}'}{inside}"


class SpanChange(StrEnum):
    """What the configuration let a reader do to annotated spans; the values are how a report puts it."""

    snapped = "spans were widened to whole words (data.misaligned=snap)"
    overlapped = "spans were left out, as another overlaps them (data.nested)"
    filled = "entities in pieces were taken from first to last word (data.discontinuous=hull)"
    dropped = "entities in pieces were left out (data.discontinuous=drop)"
    joined = "entities go over a line end, which then ends no sentence"


@dataclass(frozen=True, slots=True)
class RawSentence:
    """Words and tags as written. `exact` says that the tags were made from spans and are legal IOB2 already.

    The word at index i stands on line `line` + i * `line_step` (step 1 in column files, 0 where a row is a sentence).
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    line: int
    line_step: int = 0
    offsets: tuple[tuple[int, int], ...] | None = None
    exact: bool = False

    def line_of(self, index: int) -> int:
        """Return the 1-based line of the word at `index`."""
        return self.line + index * self.line_step


@dataclass(frozen=True, slots=True)
class RawDocument:
    """Sentences that belong together; `id` is None where the source has no name for them."""

    id: str | None
    sentences: tuple[RawSentence, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass
class ReadReport:
    """Counts and problems of reading one source; complete once its documents have been read to the end."""

    path: str
    format: str = ""
    scheme: TagScheme = TagScheme.iob2
    scheme_detected: bool = False
    document_marks: bool = True
    documents: int = 0
    sentences: int = 0
    words: int = 0
    entities: Counter[str] = field(default_factory=Counter[str])
    repairs: Counter[str] = field(default_factory=Counter[str])
    first_repair_lines: dict[str, int] = field(default_factory=dict[str, int])
    empty_documents: int = 0
    trimmed_spans: int = 0
    span_changes: Counter[SpanChange] = field(default_factory=Counter[SpanChange])
    first_changes: dict[SpanChange, Place] = field(default_factory=dict[SpanChange, Place])
    unannotated: int = 0
    """Texts that nobody has annotated, which say nothing and are left out."""
    ignored: Counter[str] = field(default_factory=Counter[str])
    """What else the source holds and a tagger cannot use, such as relations: kind -> number."""

    def lossy(self) -> Iterator[str]:
        """Return in sentences which annotations of the source were changed or left out."""
        for kind, number in sorted(self.span_changes.items()):
            yield f"{number:,} {kind}, the first at {self.first_changes[kind]}"
        if self.unannotated:
            yield f"{self.unannotated:,} texts that nobody has annotated were left out"
        for kind, number in sorted(self.ignored.items()):
            if number:
                yield f"{number:,} {kind} were ignored"

    def change(self, kind: SpanChange, place: Place) -> None:
        """Count what was done to a span."""
        self.span_changes[kind] += 1
        self.first_changes.setdefault(kind, place)


Source = Callable[[ReadReport], Iterator[RawDocument]]


def too_long(path: str, line: int | None) -> DataError:
    """Return the refusal of a sentence that starts at `line` and has no end."""
    return DataError(
        f"expected sentences of at most {MAX_SENTENCE_WORDS:,} words, got a longer one that starts here; "
        "put a blank line after each sentence of a column file, or line ends into running text",
        path,
        line,
    )
