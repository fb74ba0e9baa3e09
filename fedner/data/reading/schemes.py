"""Tagging schemes: what each allows, which one a source is written in, and the way to IOB2.

Every scheme here is local: whether a tag is legal, and whether an entity starts at it, follows from the tag and the one
before it. So the pairs of neighbouring tags say all there is to say about a file, however long it is.

| scheme | letters | an entity |
| --- | --- | --- |
| IOB2 | B I | B I I … |
| IOB1 | B I | I I I …; B only where it touches an entity of the same type before it |
| BIOES (also BMES, BMEWO) | B I/M E S/W | B I … E, or S alone |
| BILOU | B I/M L U | B I … L, or U alone |
| bare | none | a run of one type |

Detection (`detect_scheme`): a scheme is ruled out if the file uses letters that it does not have, then if the file
breaks its grammar. The first scheme left in the order of the table is taken. So a file with no entity is IOB2, as is
one with only O and B-; one with only I- is IOB1. If the file breaks every scheme (someone's tagger wrote it), the
one that it breaks least often is taken and the breaks are reported as illegal sequences.

Repair follows conlleval: an I- or E- that continues nothing starts an entity; one not closed ends where it ends.
Sources: Ramshaw and Marcus 1995 (IOB1), Ratinov and Roth 2009 (BILOU), conlleval.pl of CoNLL-2000.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from fedner.config import TagScheme
from fedner.config.suggesting import suggestion
from fedner.data.labels import LabelSet
from fedner.errors import LabelError

_LETTERS = {
    "B": "begin",
    "I": "inside",
    "M": "inside",
    "E": "end",
    "L": "end",
    "S": "single",
    "U": "single",
    "W": "single",
}
_ALPHABETS = {
    TagScheme.iob2: frozenset("BI"),
    TagScheme.iob1: frozenset("BI"),
    TagScheme.bioes: frozenset("BIMESW"),
    TagScheme.bilou: frozenset("BIMLU"),
    TagScheme.bare: frozenset([""]),
}
SCHEMES = tuple(_ALPHABETS)
_PREFIXED = re.compile(r"([BIMELSUW])[-_](.+)", re.DOTALL)


class Illegal(StrEnum):
    """The ways in which a tag can be illegal after the one before it."""

    orphan = "orphan"
    """I- or E- with no entity to continue."""
    type_change = "type-change"
    """I- or E- of another type than the entity it continues."""
    unclosed = "unclosed"
    """An entity of several words without E- (L-) at its end; B- alone where S- (U-) was due."""
    needless_begin = "needless-begin"
    """IOB1 only: B- where the entity touches no other of its type."""


class Tag(NamedTuple):
    """A tag taken apart; `letter` is empty for bare types, `type` is empty for O."""

    letter: str
    type: str

    @property
    def role(self) -> str:
        """What the letter means: begin, inside, end or single; a bare type is inside, O is outside."""
        return _LETTERS.get(self.letter, "inside") if self.type else "outside"


OUTSIDE = Tag("", "")


def take_apart(tag: str, scheme: TagScheme, bare_types: Sequence[str] = ()) -> Tag:
    """Return letter and type as written; a tag that is one of `bare_types` has no letter, even if it looks so."""
    if tag == "O":
        return OUTSIDE
    match = None if scheme is TagScheme.bare or tag in bare_types else _PREFIXED.fullmatch(tag)
    return Tag(match[1], match[2]) if match else Tag("", tag)


def is_tag(text: str, contract: LabelSet) -> bool:
    """Return whether `text` has the form of a tag: O, a letter and a type, or a bare type of the contract."""
    return text == "O" or text in contract.type_names or _PREFIXED.fullmatch(text) is not None


def fault(scheme: TagScheme, previous: Tag, tag: Tag) -> Illegal | None:
    """Return what is illegal about `tag` after `previous`; the ends of a sentence count as O."""
    if scheme is TagScheme.bare:
        return None
    continues = tag.role in ("inside", "end")
    open_before = previous.role in ("begin", "inside")
    if scheme is TagScheme.iob1:
        touches = open_before and previous.type == tag.type
        return Illegal.needless_begin if tag.role == "begin" and not touches else None
    if continues and open_before:
        return None if previous.type == tag.type else Illegal.type_change
    if continues:
        return Illegal.orphan
    return Illegal.unclosed if open_before and scheme in (TagScheme.bioes, TagScheme.bilou) else None


def starts(previous: Tag, tag: Tag) -> bool:
    """Return whether an entity starts at `tag`, whatever the scheme; illegal sequences as conlleval has it."""
    if tag.role == "outside":
        return False
    return tag.role in ("begin", "single") or previous.type != tag.type or previous.role in ("end", "single")


def pairs_of(tags: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Return the pairs of neighbouring tags of one sentence, O standing in at both ends."""
    return zip(["O", *tags], [*tags, "O"], strict=True)


def detect_scheme(pairs: Counter[tuple[str, str]], contract: LabelSet) -> TagScheme:
    """Return the scheme of a source from the counts of its neighbouring tags (module docstring)."""
    tags = {tag: take_apart(tag, TagScheme.auto, contract.type_names) for pair in pairs for tag in pair}
    parsed = [(tags[previous], tags[tag], number) for (previous, tag), number in pairs.items()]

    def breaks(scheme: TagScheme) -> tuple[int, int]:
        foreign = sum(number for _, tag, number in parsed if tag.type and tag.letter not in _ALPHABETS[scheme])
        return foreign, sum(number for previous, tag, number in parsed if fault(scheme, previous, tag) is not None)

    return min(SCHEMES, key=breaks)


def check_tags(first_lines: dict[str, int], scheme: TagScheme, contract: LabelSet, path: str) -> None:
    """Refuse tags that are not of `scheme` or not of the contract, all in one message.

    Args:
        first_lines: tag -> the line where it first stands.

    Raises:
        LabelError: there is such a tag.
    """
    parsed = {tag: take_apart(tag, scheme) for tag in sorted(first_lines, key=first_lines.__getitem__)}
    for tag, (letter, type_name) in parsed.items():
        if type_name and letter not in _ALPHABETS[scheme]:
            raise LabelError(
                f"{path}:{first_lines[tag]}: expected {scheme.upper()} tags, got {tag!r:.80}; "
                "check data.scheme and data.tag_column, or mend the tag"
            )
    unknown = {tag: name for tag, (_, name) in parsed.items() if name and name not in contract.type_names}
    if unknown:
        first = next(iter(unknown))
        others = sorted(set(unknown.values()) - {unknown[first]})
        raise LabelError(
            f"{path}:{first_lines[first]}: tag {first!r:.80} has the type {unknown[first]!r:.80}, which contract "
            f"'{contract.name}' does not list{suggestion(unknown[first][:80], contract.type_names)}; it lists "
            f"{', '.join(contract.type_names)}"
            + (f"; also unknown: {', '.join(other[:80] for other in others[:10])}" if others else "")
            + "; add the type to the contract, rename it in the file, or check data.tag_column"
        )


@lru_cache(maxsize=65536)
def _step(scheme: TagScheme, previous: str, tag: str) -> tuple[str, Illegal | None]:
    before, after = take_apart(previous, scheme), take_apart(tag, scheme)
    iob2 = f"{'B' if starts(before, after) else 'I'}-{after.type}" if after.type else "O"
    return iob2, fault(scheme, before, after)


def to_iob2(tags: Sequence[str], scheme: TagScheme) -> tuple[tuple[str, ...], list[tuple[int, Illegal]]]:
    """Return one sentence's tags in IOB2, and where they were illegal (index of the word, kind).

    What is found wrong only at the end of the sentence has the last word's index. The tags have passed `check_tags`.
    """
    steps = [_step(scheme, previous, tag) for previous, tag in pairs_of(tags)]
    faults = [(min(index, len(tags) - 1), kind) for index, (_, kind) in enumerate(steps) if kind is not None]
    return tuple(iob2 for iob2, _ in steps[:-1]), faults
