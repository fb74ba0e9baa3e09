"""One corpus -> simulated sites: alike, skewed by entity type, skewed by size, or as the text itself falls apart.

Documents are the unit: never cut, each in exactly one site, in corpus order within it. Train, dev and test are dealt by
the same proportions, so that a site's test shard looks like its training shard and the sites' test shards together are
the official test set.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedner.config import (
    CountedPartition,
    DirichletPartition,
    IidPartition,
    NaturalPartition,
    PartitionConfig,
    QuantityPartition,
)
from fedner.data.corpus import SPLITS, Corpus, Document, Shard, num_sentences, num_words
from fedner.data.labels import LabelContract
from fedner.errors import ConfigError, DataError, LabelError
from fedner.seeding import generator

MAX_DRAWS = 50
"""Dirichlet draws tried before documents are moved to sites that got too few."""

Floats = NDArray[np.float64]
SiteIndices = NDArray[np.intp]
"""The site of each document of a split, from 0; shape (documents,)."""
Splits = Mapping[str, Sequence[Document]]


@dataclass(frozen=True)
class SplitStats:
    """Sizes of one split; `entities` per type of the contract, in its order."""

    documents: int
    sentences: int
    words: int
    entities: Mapping[str, int]


@dataclass(frozen=True)
class SiteStats:
    """Sizes of one site's splits, and how far its training entities are from the pool's.

    `divergence_bits` is the Jensen-Shannon divergence, from 0 (same mix of types) to 1 (no type in common); None where
    the site's training documents have no entities. `unannotated` has the types that are not annotated in a split.
    """

    site: str
    train: SplitStats
    dev: SplitStats
    test: SplitStats
    divergence_bits: float | None
    unannotated: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


@dataclass(frozen=True)
class PartitionStats:
    """All sites, the pool of them, and the mean of the sites' divergences."""

    sites: tuple[SiteStats, ...]
    train: SplitStats
    dev: SplitStats
    test: SplitStats
    mean_divergence_bits: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain dicts, lists and numbers."""
        return asdict(self) | {"sites": [asdict(site) for site in self.sites]}


def partition(corpus: Corpus, config: PartitionConfig) -> list[Shard]:
    """Split a corpus into the shards of simulated sites, sorted by site name.

    Documents with metadata `unseen: yes` belong to no site; see `unseen_shards`.

    Raises:
        ConfigError: there are too few training documents for the sites.
        DataError: in a natural partition, a document does not name its site, or a site has no training documents.
    """
    splits = {name: [document for document in corpus.split(name) if not _is_unseen(document)] for name in SPLITS}
    match config:
        case IidPartition():
            return _counted_shards(splits, _deal_by_size(splits, np.ones(config.sites), config), config)
        case QuantityPartition():
            sizes = np.array([rank**-config.exponent for rank in range(1, config.sites + 1)])
            return _counted_shards(splits, _deal_by_size(splits, sizes, config), config)
        case DirichletPartition():
            return _counted_shards(splits, _deal_by_content(splits, corpus.contract, config), config)
        case NaturalPartition():
            return _natural_shards(splits, config.by)
        case _:
            raise ConfigError(f"partition.kind: expected iid, dirichlet, quantity or natural, got {config.kind!r}")


def unseen_shards(corpus: Corpus, by: str = "site") -> list[Shard]:
    """Return what no arm trains on: shards with a test split only, sorted by site name.

    Args:
        by: metadata key that holds the site's name.

    Raises:
        DataError: an unseen document does not name its site.
    """
    by_site = _group([document for document in corpus.test if _is_unseen(document)], by)
    return [Shard(site, (), (), tuple(documents)) for site, documents in sorted(by_site.items())]


def describe(shards: Sequence[Shard], contract: LabelContract) -> PartitionStats:
    """Measure the shards; the pool is all of them together.

    Raises:
        LabelError: a document has entities of a type that the contract lacks.
    """
    pool = {name: _split_stats([each for shard in shards for each in shard.split(name)], contract) for name in SPLITS}
    sites = tuple(_site_stats(shard, pool["train"], contract) for shard in shards)
    divergences = [site.divergence_bits for site in sites if site.divergence_bits is not None]
    mean = sum(divergences) / len(divergences) if divergences else None
    return PartitionStats(sites, **pool, mean_divergence_bits=mean)


def _is_unseen(document: Document) -> bool:
    return document.metadata.get("unseen") == "yes"


def _group(documents: Iterable[Document], by: str) -> dict[str, list[Document]]:
    """Return the documents of each site, which they name under the metadata key `by`."""
    groups: dict[str, list[Document]] = {}
    for document in documents:
        site = document.metadata.get(by, "")
        if not site:
            keys = ", ".join(sorted(key for key, value in document.metadata.items() if value)) or "none"
            raise DataError(
                f"document '{document.id}': expected its site under metadata '{by}', got the keys {keys}; "
                "set partition.by to one that every document has"
            )
        groups.setdefault(site, []).append(document)
    return groups


def _natural_shards(splits: Splits, by: str) -> list[Shard]:
    groups = {name: _group(documents, by) for name, documents in splits.items()}
    for name in ("dev", "test"):
        orphans = sorted(groups[name].keys() - groups["train"].keys())
        if orphans:
            raise DataError(
                f"partition.by '{by}': expected training documents for every site, got none for {', '.join(orphans)} "
                f"of the {name} split; leave such documents out, or with data=sites list the site in data.unseen"
            )
    return [Shard(site, *(tuple(groups[name].get(site, ())) for name in SPLITS)) for site in sorted(groups["train"])]


def _counted_shards(splits: Splits, dealt: Mapping[str, SiteIndices], config: CountedPartition) -> list[Shard]:
    """Return the shards of numbered sites, after moving documents to sites that hold fewer than the minimum."""
    width = len(str(config.sites - 1))
    filled = {name: _fill_up(dealt[name], _minimum(name, splits, config), config.sites) for name in SPLITS}
    return [
        Shard(
            f"site-{site:0{width}}",
            *(tuple(splits[name][index] for index in np.flatnonzero(filled[name] == site).tolist()) for name in SPLITS),
        )
        for site in range(config.sites)
    ]


def _minimum(split: str, splits: Splits, config: CountedPartition) -> int:
    """Return how many documents of a split every site must get.

    Raises:
        ConfigError: the training split cannot give every site its minimum.
    """
    found = len(splits[split])
    if split != "train":
        return min(1, found // config.sites)
    wanted = config.sites * config.min_train_documents
    if found < wanted:
        raise ConfigError(
            f"partition.sites: expected {config.sites} sites x {config.min_train_documents} training documents = "
            f"{wanted}, got {found} documents; lower partition.sites or partition.min_train_documents"
        )
    return config.min_train_documents


def _fill_up(dealt: SiteIndices, minimum: int, num_sites: int) -> SiteIndices:
    """Move documents, the last one of the largest site first, until every site has the minimum."""
    filled = dealt.copy()
    while True:
        held = np.bincount(filled, minlength=num_sites)
        if held.min() >= minimum:
            return filled
        filled[np.flatnonzero(filled == held.argmax())[-1]] = held.argmin()


def _deal_by_size(splits: Splits, sizes: Floats, config: CountedPartition) -> dict[str, SiteIndices]:
    """Deal at random so that the sites' sentences are in proportion to `sizes`, of shape (sites,)."""
    return {
        name: _deal_evenly(documents, sizes / sizes.sum(), generator(config.seed, "partition", site=name))
        for name, documents in splits.items()
    }


def _deal_evenly(documents: Sequence[Document], shares: Floats, rng: np.random.Generator) -> SiteIndices:
    """Give each document, in random order, to the site that lacks most sentences of its share of those dealt so far."""
    dealt = np.zeros(len(documents), dtype=np.intp)
    held = np.zeros(len(shares))
    order: list[int] = rng.permutation(len(documents)).tolist()
    for index in order:
        size = len(documents[index].sentences)
        site = np.argmax(shares * (held.sum() + size) - held)
        dealt[index] = site
        held[site] += size
    return dealt


def _deal_by_content(splits: Splits, contract: LabelContract, config: DirichletPartition) -> dict[str, SiteIndices]:
    """Skew the entity mix: each type k is spread over the sites by p_k ~ Dirichlet(alpha, ..., alpha).

    Hsu, Qi & Brown (2019, arxiv.org/abs/1909.06335) draw class shares for examples of one class each. A document has
    entities of several types; its class is the type it has most of (the first in contract order among equals), and
    having no entities is one more class. A document of class k goes to site s with probability p_k[s]. Documents are
    mixed, so look at the divergence that `describe` measures, not at alpha alone. The p_k are drawn once for all
    splits.

    While a site gets too few documents the p_k are drawn again, at most `MAX_DRAWS` times; then the draw with the
    fewest missing is returned, and documents have to be moved.
    """
    classes = {name: _dominant_types(documents, contract) for name, documents in splits.items()}
    minima = {name: _minimum(name, splits, config) for name in splits}
    best: tuple[int, dict[str, SiteIndices]] | None = None
    for draw in range(MAX_DRAWS):
        rng = generator(config.seed, "partition", draw)
        spread = rng.dirichlet([config.alpha] * config.sites, size=len(contract.type_names) + 1)
        dealt = {name: _draw_sites(spread[types], rng) for name, types in classes.items()}
        held = {name: np.bincount(sites, minlength=config.sites) for name, sites in dealt.items()}
        missing = sum(int(np.maximum(minima[name] - held[name], 0).sum()) for name in splits)
        if best is None or missing < best[0]:
            best = missing, dealt
        if missing == 0:
            break
    assert best is not None
    return best[1]


def _dominant_types(documents: Sequence[Document], contract: LabelContract) -> NDArray[np.intp]:
    """Return the type each document has most entities of, in contract order; the number of types for none at all.

    Returns:
        Shape (documents,).
    """
    counts = [list(_count_entities([document], contract).values()) for document in documents]
    table = np.reshape(np.array(counts, dtype=np.int64), (len(documents), len(contract.type_names)))
    return np.where(table.any(axis=1), table.argmax(axis=1), len(contract.type_names)).astype(np.intp)


def _draw_sites(probabilities: Floats, rng: np.random.Generator) -> SiteIndices:
    """Draw a site for each row of probabilities; shape (documents, sites) -> (documents,)."""
    edges = probabilities.cumsum(axis=1)[:, :-1]
    return (rng.random((len(edges), 1)) >= edges).sum(axis=1, dtype=np.intp)


def _count_entities(documents: Iterable[Document], contract: LabelContract) -> dict[str, int]:
    tags = Counter(tag for document in documents for sentence in document.sentences for tag in sentence.tags)
    unknown = sorted(tags.keys() - contract.tag_ids.keys())
    if unknown:
        raise LabelError(f"partition: tags {', '.join(unknown)} are not in contract '{contract.name}'; map their types")
    # Tags are legal IOB2, so every entity has one B tag.
    return {name: tags[f"B-{name}"] for name in contract.type_names}


def _split_stats(documents: Sequence[Document], contract: LabelContract) -> SplitStats:
    entities = _count_entities(documents, contract)
    return SplitStats(len(documents), num_sentences(documents), num_words(documents), entities)


def _site_stats(shard: Shard, pooled_train: SplitStats, contract: LabelContract) -> SiteStats:
    splits = {name: _split_stats(shard.split(name), contract) for name in SPLITS}
    divergence = _divergence_bits(splits["train"].entities, pooled_train.entities)
    hidden = {name: types for name in SPLITS if (types := shard.unannotated(name))}
    return SiteStats(shard.site, **splits, divergence_bits=divergence, unannotated=hidden)


def _divergence_bits(site: Mapping[str, int], pool: Mapping[str, int]) -> float | None:
    """Return the Jensen-Shannon divergence of two type distributions (Lin 1991, doi 10.1109/18.61115), in bits."""
    if not sum(site.values()):
        return None
    own = np.array(list(site.values())) / sum(site.values())
    pooled = np.array(list(pool.values())) / sum(pool.values())
    divergence = _entropy_bits((own + pooled) / 2) - (_entropy_bits(own) + _entropy_bits(pooled)) / 2
    return max(float(divergence), 0.0)


def _entropy_bits(distribution: Floats) -> float:
    positive = distribution[distribution > 0]
    return float(-(positive * np.log2(positive)).sum())
