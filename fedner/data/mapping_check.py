"""Checks how a site file maps a site's text: `fedner data check --contract … --site …`.

Counts before and after, and a few examples of the site's own words, which are for the site's own terminal: they are no
part of what `to_json` dumps.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from fedner.config.site import SiteConfig
from fedner.data.corpus import SPLITS, Document
from fedner.data.labels import LabelContract, spans_of
from fedner.data.mapping import LabelMap, own_pieces
from fedner.errors import InputError

_EXAMPLES = 3
_EXAMPLE_LETTERS = 30


@dataclass(frozen=True)
class OwnType:
    """A type in the site's files: entities by split, what it becomes (None: dropped), and words of a few of them."""

    name: str
    target: str | None
    entities: Mapping[str, int]
    examples: tuple[str, ...]


@dataclass(frozen=True)
class ContractType:
    """A type of the contract: entities by split after mapping, and the splits that do not annotate it."""

    name: str
    entities: Mapping[str, int]
    unannotated: tuple[str, ...]


@dataclass(frozen=True)
class MappingReport:
    """Counts before and after mapping; those of a file with a problem end there."""

    site: str
    contract_hash: str
    own: tuple[OwnType, ...]
    contract: tuple[ContractType, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    changes: tuple[str, ...]
    """Annotations that were changed or left out on reading."""

    @property
    def ok(self) -> bool:
        """True if nothing that was read is wrong."""
        return not self.problems

    def to_json(self) -> dict[str, object]:
        """Return the report as plain values, without any of the site's text."""
        own = [{key: value for key, value in asdict(each).items() if key != "examples"} for each in self.own]
        return {"ok": self.ok, **asdict(self), "own": own}


def check_mapping(site: SiteConfig, contract: LabelContract) -> MappingReport:
    """Read everything that a site file names to its end or its first error, and map it.

    Raises:
        LabelError: the site file's labels do not fit the contract.
    """
    mapping = LabelMap(site.labels, contract)
    counts: dict[str, Counter[str]] = {}
    changes: list[str] = []
    examples: dict[str, dict[str, None]] = {}
    problems: list[str] = []
    for piece in own_pieces(site, mapping):
        try:
            for document in piece.documents:
                _count(document, counts.setdefault(piece.split, Counter()), examples)
        except InputError as error:
            problems.append(str(error))
        changes += (f"{piece.report.path}: {line}" for line in piece.report.lossy())
    own = tuple(_own_type(name, mapping, counts, examples) for name in _own_names(mapping, counts))
    mapped = tuple(_contract_type(name, mapping, own) for name in contract.type_names)
    # What is missing may stand where reading could not go on.
    warnings = () if problems else tuple(_warnings(own, mapped, mapping))
    return MappingReport(site.site, contract.digest, own, mapped, tuple(problems), warnings, tuple(changes))


def _count(document: Document, counts: Counter[str], examples: dict[str, dict[str, None]]) -> None:
    for sentence in document.sentences:
        for span in spans_of(sentence.tags):
            counts[span.type] += 1
            known = examples.setdefault(span.type, {})
            if len(known) < _EXAMPLES:
                text = " ".join(sentence.words[span.start : span.end])
                known[text if len(text) <= _EXAMPLE_LETTERS else f"{text[: _EXAMPLE_LETTERS - 1]}…"] = None


def _own_names(mapping: LabelMap, counts: Mapping[str, Counter[str]]) -> list[str]:
    """Return the mapped types in the order of the site file, then others that occur, in that of the contract."""
    found = {name for each in counts.values() for name in each}
    others = [name for name in mapping.contract.type_names if name in found and name not in mapping.labels.map]
    return [*mapping.labels.map, *others]


def _own_type(
    name: str, mapping: LabelMap, counts: Mapping[str, Counter[str]], examples: Mapping[str, Mapping[str, None]]
) -> OwnType:
    entities = {split: counts[split][name] for split in SPLITS if split in counts}
    return OwnType(name, mapping.target(name), entities, tuple(examples.get(name, ())))


def _contract_type(name: str, mapping: LabelMap, own: Iterable[OwnType]) -> ContractType:
    sources = [each for each in own if each.target == name]
    entities = {split: sum(each.entities.get(split, 0) for each in sources) for split in SPLITS}
    return ContractType(name, entities, tuple(split for split in SPLITS if name in mapping.unannotated(split)))


def _warnings(own: Iterable[OwnType], contract: Iterable[ContractType], mapping: LabelMap) -> Iterable[str]:
    for each in own:
        if each.name in mapping.labels.map and not sum(each.entities.values()):
            yield f"labels.map names {each.name}, which the files do not have"
    for each in contract:
        if not each.entities["train"] and "train" not in each.unannotated:
            yield (
                f"no {each.name} in the training files; if it is not annotated, list it under labels.unannotated, or "
                "training takes every O as evidence that it is absent"
            )
