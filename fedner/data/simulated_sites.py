"""The sites of a simulation: one corpus, partitioned; made once per process and configuration."""

from dataclasses import dataclass
from functools import lru_cache

from fedner.config import DataConfig, NaturalPartition, PartitionConfig
from fedner.config.by_value import ByValue
from fedner.data.annotation import annotate_partly
from fedner.data.corpus import Corpus, Shard
from fedner.data.loading import load_corpus
from fedner.data.partition import partition as partition_corpus
from fedner.data.partition import unseen_shards


@dataclass(frozen=True)
class Sites:
    """The sites of a simulation, by name, and test-only shards that no arm trains on."""

    corpus: Corpus
    shards: tuple[Shard, ...]
    unseen: tuple[Shard, ...]


def load_sites(data: DataConfig, partition: PartitionConfig) -> Sites:
    """Read the corpus and partition it; the same arguments give the same objects within a process.

    Raises:
        InputError: as `load_corpus` and `partition`.
    """
    return _load_sites(ByValue(data), ByValue(partition))


@lru_cache(maxsize=2)
def _load_sites(data: ByValue[DataConfig], partition: ByValue[PartitionConfig]) -> Sites:
    corpus, chosen = load_corpus(data.value), partition.value
    unseen = unseen_shards(corpus, chosen.by if isinstance(chosen, NaturalPartition) else "site")
    shards = annotate_partly(
        partition_corpus(corpus, chosen), chosen.annotated, corpus.contract, whole_test=chosen.whole_test
    )
    return Sites(corpus=corpus, shards=tuple(shards), unseen=tuple(unseen))
