"""The label contract, and tags <-> spans.

The contract is written down by the federation, never derived from a shard; tag ids follow from it alone, so that every
site builds the same head. Inside fedner tags are always legal IOB2 of contract types.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, cast

import yaml

from fedner.config import ContractConfig
from fedner.config.strict_yaml import read_yaml
from fedner.config.suggesting import suggestion
from fedner.config.typed import typed
from fedner.errors import LabelError

SCHEME = "IOB2"


class Span(NamedTuple):
    """An entity: words `start` (included) to `end` (excluded) of one sentence."""

    type: str
    start: int
    end: int


class LabelSet(Protocol):
    """The entity types that may stand in a file: a contract's, or a site's own before they are mapped."""

    @property
    def name(self) -> str:
        """What errors call it."""
        ...

    @property
    def type_names(self) -> tuple[str, ...]:
        """Entity type names in order."""
        ...


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
            raise LabelError(f"contract '{self.name}': expected at least one entity type; list them under `types`")
        if len(set(names)) < len(names):
            raise LabelError(f"contract '{self.name}': an entity type is listed twice in {', '.join(names)}")
        for name in names:
            if not name or name == "O" or name.split() != [name]:
                raise LabelError(f"contract '{self.name}': {name!r} cannot be an entity type; no spaces, not 'O'")

    @property
    def type_names(self) -> tuple[str, ...]:
        """Entity type names in contract order."""
        return self._type_names

    @cached_property
    def _type_names(self) -> tuple[str, ...]:  # apart, since a cached property is no property to a protocol
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


@dataclass(frozen=True, kw_only=True)
class _ContractFile:
    name: str = "entities"
    version: int = 1
    scheme: Literal["IOB2"] = SCHEME
    types: Mapping[str, str | None]


@dataclass(frozen=True)
class _Names:
    types: tuple[str, ...]


def contract_from_config(config: ContractConfig, contract_file: str | None = None) -> LabelContract:
    """Return the contract that a configuration carries or, if it names one, the contract file.

    Raises:
        LabelError: neither says any type, or as `read_contract`.
    """
    if contract_file is not None:
        return read_contract(contract_file)
    if not config.types:
        raise LabelError(
            "expected a label contract, got none; list the entity types under data.contract.types (name: meaning) or "
            "name a YAML file in data.contract_file"
        )
    types = tuple(EntityType(name, meaning) for name, meaning in config.types.items())
    return LabelContract(config.name, config.version, types)


def read_contract(path: str | Path) -> LabelContract:
    """Read a contract file: YAML with `name`, `version` and `types`, a mapping of names to meanings or a list of names.

    Raises:
        LabelError: the file is missing, is not such YAML, or its types cannot be a contract.
    """
    content = read_yaml(path, "a contract file (data.contract_file)", LabelError)
    try:
        found = typed(_by_name(content), _ContractFile, LabelError)
        types = tuple(EntityType(name, meaning or "") for name, meaning in found.types.items())
        return LabelContract(found.name, found.version, types)
    except LabelError as error:
        raise LabelError(f"{path}: {error}") from error


def write_contract(contract: LabelContract, path: str | Path) -> None:
    """Write the contract as YAML that `read_contract` reads back to an equal one."""
    types = {entity.name: entity.meaning for entity in contract.types}
    content = {"name": contract.name, "version": contract.version, "scheme": SCHEME, "types": types}
    # Python's YAML writes Unicode line ends as they are and reads them back as blanks; escaped, they come back.
    line_ends = set("\x85\u2028\u2029\ufeff") & set("".join([contract.name, *types, *types.values()]))
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=not line_ends, width=120)
    Path(path).write_text(text, encoding="utf-8", newline="\n")


def difference(ours: LabelContract, theirs: LabelContract) -> str:
    """Describe how two contracts differ, one line each; empty if they agree."""
    lines = [
        f"{key}: ours {mine!r}, theirs {other!r}"
        for key, mine, other in (("name", ours.name, theirs.name), ("version", ours.version, theirs.version))
        if mine != other
    ]
    for side, one, another in (("ours", ours, theirs), ("theirs", theirs, ours)):
        only = [name for name in one.type_names if name not in another.type_names]
        lines += [f"only in {side}: {name}{suggestion(name, another.type_names)}" for name in only]
    meanings = {entity.name: entity.meaning for entity in theirs.types}
    lines += [
        f"meaning of {entity.name}: ours {entity.meaning!r}, theirs {meanings[entity.name]!r}"
        for entity in ours.types
        if entity.name in meanings and entity.meaning != meanings[entity.name]
    ]
    if ours.type_names != theirs.type_names and set(ours.type_names) == set(theirs.type_names):
        lines.append(f"order of types: ours {', '.join(ours.type_names)}; theirs {', '.join(theirs.type_names)}")
    return "\n".join(lines)


def _by_name(content: object) -> object:
    """Return a contract file's content with a list of type names as names without a meaning."""
    fields = cast(dict[str, object], content if isinstance(content, dict) else {})
    if not isinstance(fields.get("types"), list):
        return cast(object, content)
    names = typed({"types": fields["types"]}, _Names, LabelError).types
    if len(set(names)) < len(names):
        raise LabelError(f"types: an entity type is listed twice in {', '.join(names)}")
    return {**fields, "types": dict.fromkeys(names)}
