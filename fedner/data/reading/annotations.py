"""Running text with annotated spans, however it was written down -> sentences of words with legal IOB2 tags.

Every format that marks characters comes through here, so that no span is lost without a word about it. The words are
the source's own, where it has some, or those of `split_words`. IOB2 says one entity a word, so three things need a
policy, whose default is to refuse the file and name the place:

- `misaligned`: a span begins or ends within a word. `snap` widens it to whole words.
- `nested`: spans overlap. `outermost` keeps the longer of the two (counted in words), `innermost` the shorter; of
  equals the one that begins first, of those the one that the source lists first.
- `discontinuous`: an entity has pieces with something other than blanks between them. `hull` takes all from its first
  to its last word, `drop` leaves it out.

A type may be told apart by an attribute of its annotations, as BRAT and BioC have them: where the types known include
`DRUG[Negation]` or `DRUG[Status=planned]`, a DRUG with that attribute, or that value of it, is of that type.

Each change is counted in the report. Sentences are the lines of the text and of its parts, except that a line end
within an entity ends none. Blanks at the ends of a span are left out of it.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple

from fedner.config import Discontinuous, Misaligned, Nested
from fedner.config.suggesting import suggestion
from fedner.data.labels import LabelSet, Span, tags_of
from fedner.data.reading.source import (
    MAX_SENTENCE_WORDS,
    Place,
    RawDocument,
    RawSentence,
    ReadReport,
    SpanChange,
    too_long,
)
from fedner.data.reading.words import split_words
from fedner.errors import DataError, LabelError

Characters = tuple[int, int]
"""Start (included) and end (excluded), in Unicode code points of the text."""

_LINE_ENDS = re.compile(r"[\r\n]")
_TOLD_APART = re.compile(r"(.+)\[([^=\[\]]+)(?:=([^\[\]]*))?\]")


@dataclass(frozen=True, slots=True)
class SpanPolicy:
    """What is done with spans that words and tags cannot say; the fields mean what `TextFilesData` says of them."""

    misaligned: Misaligned = Misaligned.refuse
    nested: Nested = Nested.refuse
    discontinuous: Discontinuous = Discontinuous.refuse
    dropped: frozenset[str] = frozenset()
    """Types that nothing will be made of, so that they give way wherever another entity lies."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """An entity as the source has it; `quoted` is its text in the source's own words, where it repeats it.

    `attributes` are what the source says of it beside its label; an attribute without a value is empty.
    """

    label: str
    pieces: tuple[Characters, ...]
    place: Place
    quoted: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class AnnotatedText:
    """One document. `parts` are passages, none of which shares a sentence with another; empty means one, the whole."""

    id: str | None
    text: str
    annotations: tuple[Annotation, ...]
    place: Place
    parts: tuple[Characters, ...] = ()
    words: tuple[Characters, ...] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    annotated: bool = True
    """Whether it was annotated at all; if not, having no entity means nothing."""


class _Entity(NamedTuple):
    """A span in words, with the characters it came from."""

    first: int
    end: int
    label: str
    characters: Characters
    place: Place


def to_sentences(document: AnnotatedText, contract: LabelSet, policy: SpanPolicy, report: ReadReport) -> RawDocument:
    """Return the document in words and tags; without a sentence if the text has no word.

    Raises:
        DataError: a span is outside the text, does not fit what the source quotes, holds only blanks, or needs a policy
            that says `refuse`; a sentence is too long.
        LabelError: a label is not in the contract.
    """
    words = words_of(document)
    aligned = _Words(document.text, words)
    named = (_by_attribute(annotation, contract, report) for annotation in document.annotations)
    found = [_entity(annotation, aligned, contract, policy, report) for annotation in named]
    entities = _apart([entity for entity in found if entity is not None], policy, report)
    tags = tags_of([Span(entity.label, entity.first, entity.end) for entity in entities], len(words))
    sentences = tuple(
        RawSentence(
            tuple(document.text[start:end] for start, end in words[first:last]),
            tuple(tags[first:last]),
            document.place.line or 1,
            offsets=tuple(words[first:last]),
            exact=True,
        )
        for first, last in _sentences(document, words, entities, report)
    )
    return RawDocument(document.id, sentences, document.metadata)


def words_of(document: AnnotatedText) -> Sequence[Characters]:
    """Return the words of the text, none of which goes over the end of a part."""
    if document.words is not None:
        return document.words
    text = document.text
    return [
        (begin + start, begin + end)
        for begin, stop in document.parts or ((0, len(text)),)
        for start, end in split_words(text[begin:stop])
    ]


def spelled(words: Sequence[str]) -> tuple[str, tuple[Characters, ...]]:
    """Return a text that has the words in a row, with a blank between them, and where they stand in it."""
    starts = [0, *accumulate(len(word) + 1 for word in words)]
    return " ".join(words), tuple((start, start + len(word)) for start, word in zip(starts, words, strict=False))


class _Words:
    """The words of one text, to be found by their characters."""

    def __init__(self, text: str, words: Sequence[Characters]) -> None:
        self.text = text
        self.words = words
        self.starts = [start for start, _ in words]
        self.ends = [end for _, end in words]

    def touched(self, start: int, end: int) -> tuple[int, int]:
        """Return the range of words that have a character in common with `start` to `end`; it may be empty."""
        return bisect_right(self.ends, start), bisect_left(self.starts, end)


def _by_attribute(annotation: Annotation, contract: LabelSet, report: ReadReport) -> Annotation:
    """Return the annotation under the first type that an attribute makes it; those nobody asks for are counted."""
    known = _told_apart(contract.type_names).get(annotation.label, ())
    asked = {attribute for _, attribute, _ in known}
    for _ in annotation.attributes.keys() - asked:
        report.ignored["attributes"] += 1
    for name, attribute, value in known:
        found = annotation.attributes.get(attribute)
        if found is not None and value in (None, found):
            return replace(annotation, label=name)
    return annotation


@lru_cache(maxsize=8)
def _told_apart(names: tuple[str, ...]) -> Mapping[str, Sequence[tuple[str, str, str | None]]]:
    """Return label -> types that an attribute tells apart, each with the attribute and the value it wants, if any."""
    found: dict[str, list[tuple[str, str, str | None]]] = {}
    for name in names:
        match = _TOLD_APART.fullmatch(name)
        if match is not None:
            found.setdefault(match[1], []).append((name, match[2], match[3]))
    return found


def _entity(
    annotation: Annotation, words: _Words, contract: LabelSet, policy: SpanPolicy, report: ReadReport
) -> _Entity | None:
    """Return the annotation in words, or None if it is to be left out."""
    place = annotation.place
    pieces = _checked_pieces(annotation, words.text, contract)
    _check_quoted(annotation, pieces, words.text)
    start, end = pieces[0][0], pieces[-1][1]
    if len(pieces) > 1:
        if policy.discontinuous is Discontinuous.refuse:
            where = ", ".join(f"{first}..{last}" for first, last in pieces)
            raise place.error(
                f"entity {where} ({annotation.label}) is in {len(pieces)} pieces, which IOB2 tags cannot say; set "
                "data.discontinuous to hull (first to last word) or drop"
            )
        if policy.discontinuous is Discontinuous.drop:
            report.change(SpanChange.dropped, place)
            return None
        report.change(SpanChange.filled, place)
    return _aligned(annotation, start, end, words, policy.misaligned, report)


def _checked_pieces(annotation: Annotation, text: str, contract: LabelSet) -> list[Characters]:
    """Return the pieces in order, those with only blanks between them as one."""
    label, place = annotation.label, annotation.place
    for start, end in annotation.pieces:
        if label not in contract.type_names:
            raise LabelError(
                f"{place}: span {start}..{end} has the label {label!r:.200}, which contract '{contract.name}' does not "
                f"list{suggestion(label[:200], contract.type_names)}; it lists {', '.join(contract.type_names)}; "
                "add the type to the contract or rename it in the file"
            )
        if not 0 <= start < end <= len(text):
            raise place.error(
                f"span {start}..{end} ({label}) does not lie within the text of {len(text)} characters; "
                "offsets count characters from 0, the end is excluded (they may have been counted in bytes)"
            )
    joined: list[Characters] = []
    for start, end in sorted(annotation.pieces):
        if joined and (start <= joined[-1][1] or not text[joined[-1][1] : start].strip()):
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _check_quoted(annotation: Annotation, pieces: Sequence[Characters], text: str) -> None:
    """Refuse a span whose characters are not what the source says they are; blanks are not compared."""
    if annotation.quoted is None:
        return
    start, end = pieces[0][0], pieces[-1][1]
    parts = [text[first:last] for first, last in pieces]
    if "".join(annotation.quoted.split()) not in ("".join("".join(parts).split()), "".join(text[start:end].split())):
        raise annotation.place.error(
            f"expected {annotation.quoted!r:.80} at {start}..{end} ({annotation.label}), got {' '.join(parts)!r:.80}; "
            "offsets count characters (code points) from 0, each line end as it stands, not bytes"
        )


def _aligned(
    annotation: Annotation, start: int, end: int, words: _Words, misaligned: Misaligned, report: ReadReport
) -> _Entity:
    """Return characters `start` to `end` as whole words."""
    label, place = annotation.label, annotation.place
    inner = words.text[start:end]
    first = start + len(inner) - len(inner.lstrip())
    last = first + len(inner.strip())
    begin, stop = words.touched(first, last)
    if first >= last or begin >= stop:
        raise place.error(f"span {start}..{end} ({label}) holds only blanks; remove or move it")
    characters = words.starts[begin], words.ends[stop - 1]
    if characters != (first, last):
        if misaligned is Misaligned.refuse:
            raise place.error(_cut(first, last, label, words))
        report.change(SpanChange.snapped, place)
    report.trimmed_spans += (first, last) != (start, end)
    return _Entity(begin, stop, label, characters, place)


def _cut(start: int, end: int, label: str, words: _Words) -> str:
    """Return a phrase that names the word that a span cuts."""
    cut = next((word for word in words.words if word[0] < start < word[1] or word[0] < end < word[1]), None)
    found = (
        "starts or ends on an invisible character"
        if cut is None
        else (f"cuts the word {words.text[cut[0] : cut[1]]!r:.80} at {cut[0]}..{cut[1]}")
    )
    return (
        f"span {start}..{end} ({label}, {words.text[start:end]!r:.80}) {found}; move the span to the word's borders, "
        "set data.misaligned=snap, or give `tokens` and `tags` split your own way"
    )


def _apart(entities: list[_Entity], policy: SpanPolicy, report: ReadReport) -> list[_Entity]:
    """Return the entities in order, of which no two share a word."""
    kept = _disjoint([entity for entity in entities if entity.label not in policy.dropped], policy.nested, report)
    starts = [entity.first for entity in kept]
    for entity in entities:
        if entity.label in policy.dropped:
            _insert(entity, kept, starts)
    return kept


def _disjoint(entities: list[_Entity], nested: Nested, report: ReadReport) -> list[_Entity]:
    if nested is Nested.refuse:
        entities = sorted(entities, key=lambda entity: entity.characters)
        for before, after in pairwise(entities):
            if after.first < before.end:
                raise _overlap(before, after)
        return entities
    sign = -1 if nested is Nested.outermost else 1
    kept: list[_Entity] = []
    starts: list[int] = []
    for entity in sorted(entities, key=lambda entity: (sign * (entity.end - entity.first), entity.first)):
        if not _insert(entity, kept, starts):
            report.change(SpanChange.overlapped, entity.place)
    return kept


def _insert(entity: _Entity, kept: list[_Entity], starts: list[int]) -> bool:
    """Put an entity in its place if none is there; `starts` are the first words of those kept."""
    index = bisect_left(starts, entity.end)  # of those kept, only the one before can reach into this entity
    if index and kept[index - 1].end > entity.first:
        return False
    kept.insert(index, entity)
    starts.insert(index, entity.first)
    return True


def _overlap(before: _Entity, after: _Entity) -> DataError:
    start, end = after.characters
    return after.place.error(
        f"span {start}..{end} ({after.label}) overlaps the {before.label} that ends at {before.characters[1]}; "
        "IOB2 cannot say nested or overlapping entities, keep one of them or set data.nested to outermost or innermost"
    )


def _sentences(
    document: AnnotatedText, words: Sequence[Characters], entities: Sequence[_Entity], report: ReadReport
) -> Iterator[tuple[int, int]]:
    """Yield the ranges of words that are sentences."""
    starts = [start for start, _ in words]
    ends = {end for _, end in document.parts} | {match.end() for match in _LINE_ENDS.finditer(document.text)}
    borders = {bisect_left(starts, end) for end in ends} | {len(words)}
    for entity in entities:
        within = borders.intersection(range(entity.first + 1, entity.end))
        if within:
            report.change(SpanChange.joined, entity.place)
            borders -= within
    first = 0
    for last in sorted(borders):
        if last - first > MAX_SENTENCE_WORDS:
            raise too_long(document.place.path, document.place.line)
        if last > first:
            yield first, last
        first = last
