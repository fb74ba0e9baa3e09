"""A site's own entity types -> the contract's: renamed, merged, dropped, applied as the site's text is read.

Readers see the text under `LabelMap.own_types`, so that a type with no place to go is refused as any unknown one, with
file, line and the closest known name. What they yield is then mapped, document by document. Several own types may
become one; entities that touch stay apart, as each keeps its B-. A type may be told apart by an attribute of the
annotation, as `DRUG[Negation]`; readers say which type an annotation then is.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

from fedner.config import FilesData
from fedner.config.site import SiteConfig, SiteLabels
from fedner.config.suggesting import suggestion
from fedner.data.corpus import SPLITS, Document, Sentence, Shard
from fedner.data.exclusion import leave_out
from fedner.data.labels import LabelContract
from fedner.data.loading import Piece, log_changes, open_pieces, sample
from fedner.errors import DataError, LabelError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class OwnTypes:
    """The types that may stand in a site's files; unlike a contract's their names may have blanks."""

    name: str
    type_names: tuple[str, ...]


@dataclass(frozen=True)
class LabelMap:
    """Maps a site's own types to the contract's.

    Raises:
        LabelError: a target or an unannotated type is not of the contract, or a type is both mapped to and unannotated.
    """

    labels: SiteLabels
    contract: LabelContract

    def __post_init__(self) -> None:
        for own, target in self.labels.map.items():
            if target is not None:
                self._require(target, f"labels.map.{own}")
        for split in SPLITS:
            for name in self.unannotated(split):
                self._require(name, "labels.unannotated")
                sources = [own for own, target in self.labels.map.items() if target == name]
                # What is mapped in one split may be unannotated in another, where only that is said.
                if sources and split not in self.labels.unannotated_by_split:
                    raise LabelError(
                        f"labels.unannotated: {name} is what labels.map makes of {', '.join(sources)}, so it is "
                        "annotated; drop one of the two lines"
                    )

    def unannotated(self, split: str) -> tuple[str, ...]:
        """Return the contract's types that are not annotated in a split, in the order of the contract."""
        named = self.labels.unannotated_by_split.get(split, self.labels.unannotated)
        known = self.contract.type_names
        return tuple(sorted(dict.fromkeys(named), key=lambda name: known.index(name) if name in known else -1))

    def target(self, own: str) -> str | None:
        """Return what an own type becomes; None where it is dropped."""
        return self.labels.map.get(own, own)

    def dropped(self) -> frozenset[str]:
        """Return the own types that become nothing."""
        return frozenset(own for own, target in self.labels.map.items() if target is None)

    def own_types(self, split: str) -> OwnTypes:
        """Return what may stand in the files of a split: mapped types, and the contract's that were annotated."""
        hidden = self.unannotated(split)
        own = [name for name, target in self.labels.map.items() if target not in hidden]
        own += [name for name in self.contract.type_names if name not in self.labels.map and name not in hidden]
        return OwnTypes(f"{self.contract.name} with labels.map", tuple(own))

    def apply(self, document: Document, split: str) -> Document:
        """Return a document of a split under the contract."""
        sentences = tuple(self._mapped(sentence) for sentence in document.sentences)
        return replace(document, sentences=sentences, unannotated=self.unannotated(split))

    def _mapped(self, sentence: Sentence) -> Sentence:
        targets = [(tag, self.target(tag[2:])) for tag in sentence.tags]
        return replace(
            sentence, tags=tuple(f"{tag[:2]}{name}" if name and tag != "O" else "O" for tag, name in targets)
        )

    def _require(self, name: str, key: str) -> None:
        known = self.contract.type_names
        if name not in known:
            raise LabelError(
                f"{key}: expected a type of contract '{self.contract.name}' ({', '.join(known)}), got "
                f"{name!r}{suggestion(name, known)}"
            )


def own_pieces(site: SiteConfig, mapping: LabelMap) -> list[Piece]:
    """Return the site's files, not read yet, with tags of its own types.

    Raises:
        DataError: a file cannot be found.
        ConfigError: no file is named, or one twice.
    """
    data = site.data
    return [
        replace(piece, documents=_advised(piece, mapping))
        for split in SPLITS
        if getattr(data, split)
        for piece in open_pieces(_only(data, split), mapping.own_types(split), mapping.dropped())
    ]


def read_site_shard(site: SiteConfig, contract: LabelContract) -> Shard:
    """Read a site's text under the contract, and log how many tags and spans had to be changed.

    Raises:
        DataError: a file is missing or wrong, or a split is empty.
        LabelError: a tag, or the site file's labels, do not fit the contract.
        ConfigError: no file is named, or one twice.
    """
    mapping = LabelMap(site.labels, contract)
    splits: dict[str, list[Document]] = {split: [] for split in SPLITS}
    for piece in own_pieces(site, mapping):
        splits[piece.split] += (mapping.apply(document, piece.split) for document in piece.documents)
        log_changes(piece.report)
    data = site.data
    remaining = leave_out(splits, data.exclude_documents)
    if remaining.notice:
        _LOG.warning("%s: %s", site.site, remaining.notice)
    for split, documents in remaining.documents.items():
        if not documents:
            raise DataError(f"expected documents in the {split} split of '{site.site}', got none; set data.{split}")
    return Shard(
        site.site,
        sample(remaining.documents["train"], data.train_sentences, data.sample_seed, "train"),
        sample(remaining.documents["dev"], data.dev_sentences, data.sample_seed, "dev"),
        remaining.documents["test"],
    )


def _advised(piece: Piece, mapping: LabelMap) -> Iterator[Document]:
    try:
        yield from piece.documents
    except LabelError as error:
        hidden = [name for name in mapping.unannotated(piece.split) if repr(name) in str(error)]
        told = (
            f"labels.unannotated lists {', '.join(hidden)}, so take it out there"
            if hidden
            else "give the type a line under labels.map of the site file (null drops it)"
        )
        raise LabelError(f"{error}; or {told}") from error


def _only(data: FilesData, split: str) -> FilesData:
    return replace(data, **{name: list[str]() for name in SPLITS if name != split})
