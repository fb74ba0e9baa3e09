"""Drafts a label contract, or the next version of one: each site's list of its types -> a draft and open questions.

A site lists the names of its types and, as far as it likes, what they mean and how many entities it has:

    site: north
    types:
      DRUG: {meaning: "Name of a medicine", count: 812}
      DOSE: "Amount and unit"
      DATE:

Nothing is merged or renamed here: two names may mean one thing or one name two, and only people know. A draft that
grows out of an earlier contract keeps its types first and in their order, so that tag ids and trained heads stay valid.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from itertools import combinations
from pathlib import Path
from typing import Annotated, cast

from fedner.config.typed import fits, read_typed
from fedner.data.labels import EntityType, LabelContract
from fedner.errors import LabelError

_NEAR = 0.8
"""Likeness from which two names, or two meanings, are brought up."""


@dataclass(frozen=True)
class ReportedType:
    """One of a site's types; `count` is None where the site withholds it."""

    name: str
    meaning: str = ""
    count: int | None = None


@dataclass(frozen=True)
class Statement:
    """A site's list of its types."""

    site: str
    types: tuple[ReportedType, ...]


@dataclass(frozen=True)
class _Entry:
    meaning: str | None = None
    count: Annotated[int, fits(lambda count: count >= 0, "a number of entities")] | None = None


@dataclass(frozen=True)
class _StatementFile:
    site: Annotated[str, fits(bool, "the site's name")]
    types: Mapping[str, _Entry]


@dataclass(frozen=True)
class Conflict:
    """An open question: its kind (meaning, names, same-meaning, no-meaning, alone, nobody) and a sentence."""

    kind: str
    sentence: str


@dataclass(frozen=True)
class Proposal:
    """A draft, open questions, and for each of its types the sites that have it, with counts where reported."""

    contract: LabelContract
    conflicts: tuple[Conflict, ...]
    sites: Mapping[str, Mapping[str, int | None]]

    def to_json(self) -> dict[str, object]:
        """Return the proposal as plain values."""
        contract = {
            "name": self.contract.name,
            "version": self.contract.version,
            "types": {entity.name: entity.meaning for entity in self.contract.types},
            "hash": self.contract.digest,
        }
        return {"contract": contract, "conflicts": [asdict(each) for each in self.conflicts], "sites": self.sites}


def read_statement(path: str | Path) -> Statement:
    """Read a site's list of its types.

    Raises:
        LabelError: the file is missing or not such YAML.
    """
    found = read_typed(path, _StatementFile, "a site's list of its types", LabelError, prepare=_by_name)
    types = (ReportedType(name, entry.meaning or "", entry.count) for name, entry in found.types.items())
    return Statement(found.site, tuple(types))


def propose(statements: Sequence[Statement], name: str, base: LabelContract | None = None) -> Proposal:
    """Draft a contract of the union of the sites' types.

    Args:
        name: of a new contract; that of `base` stays.
        base: the contract so far; its types and meanings stay, with the next version if any are added.

    Raises:
        LabelError: a site reports twice, or a name cannot stand in a tag.
    """
    told = sorted(statements, key=lambda each: each.site)
    names = [each.site for each in told]
    if len(set(names)) < len(names):
        raise LabelError(f"contract propose: expected one file a site, got two of one among {', '.join(names)}")
    sites = {
        type_name: {each.site: found.count for each in told for found in each.types if found.name == type_name}
        for type_name in {found.name: None for each in told for found in each.types}
    }
    old = base.types if base else ()
    known = {entity.name for entity in old}
    added = sorted((each for each in sites if each not in known), key=lambda each: (-len(sites[each]), each))
    types = (*old, *(EntityType(each, _meaning(each, told)) for each in added))
    version = base.version + bool(added) if base else 1
    contract = LabelContract(base.name if base else name, version, types)
    conflicts = tuple(_conflicts(contract, told, sites))
    return Proposal(contract, conflicts, {each: sites.get(each, {}) for each in contract.type_names})


def changes(old: LabelContract, new: LabelContract) -> list[str]:
    """Describe how a contract changed, one line each, and last what that means for models; empty if they are equal."""
    if old == new:
        return []
    lines = [
        f"{key}: {before!r} -> {after!r}"
        for key, before, after in (("name", old.name, new.name), ("version", old.version, new.version))
        if before != after
    ]
    meanings = {entity.name: entity.meaning for entity in old.types}
    lines += [f"removed: {name}" for name in old.type_names if name not in new.type_names]
    lines += [f"added: {entity.name}: {entity.meaning!r}" for entity in new.types if entity.name not in meanings]
    lines += [
        f"meaning of {entity.name}: {meanings[entity.name]!r} -> {entity.meaning!r}"
        for entity in new.types
        if meanings.get(entity.name, entity.meaning) != entity.meaning
    ]
    kept = [name for name in old.type_names if name in new.type_names]
    if kept != [name for name in new.type_names if name in kept]:
        lines.append(f"order of types: {', '.join(old.type_names)} -> {', '.join(new.type_names)}")
    if old.version == new.version:
        lines.append(f"the version is {old.version} in both; raise it, so that people can tell them apart")
    return [*lines, _for_models(old, new)]


def extends(new: LabelContract, old: LabelContract) -> bool:
    """Return whether all tags of the old contract have the same ids in the new one."""
    return new.type_names[: len(old.types)] == old.type_names


def _by_name(content: object) -> object:
    """Return a statement with `types` in the long form: type -> meaning and count."""
    if not isinstance(content, dict):
        return content
    fields = cast(dict[str, object], content)
    types = fields.get("types")
    if isinstance(types, list) and all(isinstance(name, str) for name in cast(list[object], types)):
        types = dict.fromkeys(cast(list[str], types))
    if not isinstance(types, dict):
        return fields
    entries = cast(dict[object, object], types).items()
    return {**fields, "types": {name: each if isinstance(each, dict) else {"meaning": each} for name, each in entries}}


def _for_models(old: LabelContract, new: LabelContract) -> str:
    if old.type_names == new.type_names:
        return "models: tag ids are the same, so a model of the first may begin a run of the second, with its head"
    if extends(new, old):
        return "models: tag ids of the first stay, so a model of it may begin a run of the second, with its head grown"
    return "models: tag ids change, so a model of the first loses its head; keep old types first and in their order"


def _meanings(name: str, told: Iterable[Statement]) -> dict[str, str]:
    """Return site -> what it means by a type, of the sites that say."""
    return {each.site: found.meaning for each in told for found in each.types if found.name == name and found.meaning}


def _meaning(name: str, told: Iterable[Statement]) -> str:
    return next(iter(_meanings(name, told).values()), "")


def _conflicts(
    contract: LabelContract, told: Sequence[Statement], sites: Mapping[str, Mapping[str, int | None]]
) -> Iterator[Conflict]:
    for entity in contract.types:
        meanings = _meanings(entity.name, told)
        if len({_folded(each) for each in (entity.meaning, *meanings.values()) if each}) > 1:
            said = "; ".join(f"{site}: {meaning!r}" for site, meaning in meanings.items())
            yield Conflict("meaning", f"{entity.name}: the draft says {entity.meaning!r}, the sites say {said}")
        if not entity.meaning:
            yield Conflict("no-meaning", f"{entity.name}: no site says what it means")
        holders = list(sites.get(entity.name, {}))
        if not holders:
            yield Conflict("nobody", f"{entity.name}: is in the contract, but no site reports it")
        elif len(holders) == 1 and len(told) > 1:
            yield Conflict("alone", f"{entity.name}: only {holders[0]} has it, so only its text can teach and test it")
    for one, other in combinations(contract.types, 2):
        if _alike(one.name, other.name):
            who = f"{_who(one.name, sites)}, {_who(other.name, sites)}"
            yield Conflict("names", f"{one.name} and {other.name} are nearly the same name ({who})")
        elif one.meaning and other.meaning and _alike(one.meaning, other.meaning):
            yield Conflict(
                "same-meaning",
                f"{one.name} and {other.name} mean nearly the same: {one.meaning!r}, {other.meaning!r}; if it is one "
                "type, choose a name, and let sites map theirs in labels.map of their site file",
            )


def _who(name: str, sites: Mapping[str, Mapping[str, int | None]]) -> str:
    return f"{name}: {', '.join(sites.get(name, {})) or 'the contract so far'}"


def _alike(one: str, other: str) -> bool:
    return SequenceMatcher(None, _folded(one), _folded(other)).ratio() >= _NEAR


def _folded(text: str) -> str:
    return " ".join(text.casefold().replace("_", " ").replace("-", " ").rstrip(".").split())
