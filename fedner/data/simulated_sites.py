"""The sites of a simulation: one corpus, partitioned; made once per process and configuration."""

from dataclasses import dataclass
from functools import lru_cache

from fedner.config import (
    Config,
    DataConfig,
    ModelConfig,
    NaturalPartition,
    PartitionConfig,
    dumps,
    loads,
)
from fedner.config.federation import FedAvgAggregation
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
    key = Config(data=data, partition=partition, model=ModelConfig(), aggregation=FedAvgAggregation())
    return _load_sites(dumps(key))


@lru_cache(maxsize=2)
def _load_sites(key: str) -> Sites:
    config = loads(key)
    corpus = load_corpus(config.data)
    by = config.partition.by if isinstance(config.partition, NaturalPartition) else "site"
    unseen = tuple(unseen_shards(corpus, by))
    chosen = config.partition
    shards = annotate_partly(
        partition_corpus(corpus, chosen), chosen.annotated, corpus.contract, whole_test=chosen.whole_test
    )
    return Sites(corpus=corpus, shards=tuple(shards), unseen=unseen)
