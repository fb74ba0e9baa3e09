"""The label contract, and tags <-> spans.

The contract is written down by the federation, never derived from a shard; tag ids follow from it alone, so that every
site builds the same head. Inside fedner tags are always legal IOB2 of contract types.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from fedner.errors import LabelError

SCHEME = "IOB2"


class Span(NamedTuple):
    """An entity: words `start` (included) to `end` (excluded) of one sentence."""

    type: str
    start: int
    end: int


@dataclass(frozen=True)
class EntityType:
    """One entity type and its meaning in a sentence."""

    name: str
    meaning: str = ""


@dataclass(frozen=True)
class LabelContract:
    """The entity types a federation agreed on, in tag order.

    Raises:
        LabelError: no types, a duplicate, or a name that cannot stand in a tag.
    """

    name: str
    version: int
    types: tuple[EntityType, ...]

    def __post_init__(self) -> None:
        names = self.type_names
        if not names:
            raise LabelError(f"contract '{self.name}': wanted at least one entity type; list them under `types`")
        if len(set(names)) < len(names):
            raise LabelError(f"contract '{self.name}': an entity type is listed twice in {', '.join(names)}")
        for name in names:
            if not name or name == "O" or name.split() != [name]:
                raise LabelError(f"contract '{self.name}': {name!r} cannot be an entity type; no spaces, not 'O'")

    @cached_property
    def type_names(self) -> tuple[str, ...]:
        """Entity type names in contract order."""
        return tuple(entity.name for entity in self.types)

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """All tags in id order: O, then B- and I- of each type; shape (1 + 2 * types,)."""
        return ("O", *(f"{prefix}-{name}" for name in self.type_names for prefix in "BI"))

    @cached_property
    def tag_ids(self) -> dict[str, int]:
        """Tag -> id."""
        return {tag: index for index, tag in enumerate(self.tags)}

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of name, version, scheme, types and meanings."""
        content = [self.name, self.version, SCHEME, [[entity.name, entity.meaning] for entity in self.types]]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def spans_of(tags: Sequence[str]) -> list[Span]:
    """Return the entities of one sentence of legal IOB2 tags, in order."""
    spans: list[Span] = []
    start, open_type = 0, ""
    for index, tag in enumerate([*tags, "O"]):
        if open_type and not tag.startswith("I-"):
            spans.append(Span(open_type, start, index))
            open_type = ""
        if tag.startswith("B-"):
            start, open_type = index, tag[2:]
    return spans


def tags_of(spans: Iterable[Span], num_words: int) -> list[str]:
    """Return the IOB2 tags of one sentence; the inverse of `spans_of`.

    Raises:
        LabelError: a span is empty, outside the sentence, or overlaps another.
    """
    tags = ["O"] * num_words
    for span in spans:
        if not 0 <= span.start < span.end <= num_words:
            raise LabelError(f"span {span} does not lie within a sentence of {num_words} words")
        if any(tag != "O" for tag in tags[span.start : span.end]):
            raise LabelError(f"span {span} overlaps another; nested entities cannot be written in {SCHEME}")
        tags[span.start : span.end] = [f"B-{span.type}"] + [f"I-{span.type}"] * (span.end - span.start - 1)
    return tags
