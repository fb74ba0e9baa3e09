"""What every reader yields: documents as they stand in the source, before their tags are understood.

A `Source` is a function that returns a fresh iterator and counts what it meets into the report it is given, so that a
file can be read twice (once for the tagging scheme, once for the text) without ever being held in memory.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from fedner.config import TagScheme
from fedner.errors import DataError

MAX_SENTENCE_WORDS = 20_000
"""Longest sentence accepted. A real sentence never gets there; a file whose blank lines were lost does."""


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
    """What was found while reading one source; complete once its documents have been read to the end."""

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


Source = Callable[[ReadReport], Iterator[RawDocument]]


def too_long(path: str, line: int) -> DataError:
    """Return the refusal of a sentence that starts at `line` and has no end."""
    return DataError(
        f"wanted sentences of at most {MAX_SENTENCE_WORDS:,} words, found a longer one that starts here; "
        "put a blank line after each sentence of a column file, or a new line in the text of a JSONL row",
        path,
        line,
    )
