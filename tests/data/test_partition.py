"""Partitions are disjoint, complete, seeded, skewed as asked; the corpora are made here, the divergence is scipy's."""

import dataclasses
import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from fedner.config import (
    CountedPartition,
    DirichletPartition,
    IidPartition,
    NaturalPartition,
    PartitionConfig,
    PartitionKind,
    QuantityPartition,
)
from fedner.data.corpus import SPLITS, Corpus, Document, Sentence, Shard, num_sentences
from fedner.data.labels import EntityType, LabelContract
from fedner.data.partition import describe, partition, unseen_shards
from fedner.errors import ConfigError, DataError, LabelError

CONTRACT = LabelContract("test", 1, (EntityType("PER"), EntityType("LOC"), EntityType("ORG")))


def sentence(*types: str) -> Sentence:
    """Return a sentence with one two-word entity per type, each followed by a plain word."""
    tags = [tag for name in types for tag in (f"B-{name}", f"I-{name}", "O")] or ["O"]
    return Sentence(tuple(f"w{index}" for index in range(len(tags))), tuple(tags))


def document(name: str, *sentences: Sentence, **metadata: str) -> Document:
    return Document(name, sentences or (sentence(),), metadata)


def corpus_of(train: list[Document], dev: list[Document] | None = None, test: list[Document] | None = None) -> Corpus:
    return Corpus("made here", CONTRACT, tuple(train), tuple(dev or ()), tuple(test or ()))


def random_corpus(seed: int, train: int = 60, dev: int = 20, test: int = 20) -> Corpus:
    """Return documents of 1 to 6 sentences that mostly speak of one type, some of none."""
    rng = np.random.default_rng(seed)

    def made(split: str, count: int) -> list[Document]:
        documents: list[Document] = []
        for index in range(count):
            main = rng.integers(len(CONTRACT.type_names) + 1)
            names = [[CONTRACT.type_names[main]] if main < 3 else [] for _ in range(rng.integers(1, 7))]
            site = f"hospital {index % 3}"
            documents.append(document(f"{split}-{index}", *(sentence(*types) for types in names), institution=site))
        return documents

    return corpus_of(made("train", train), made("dev", dev), made("test", test))


def ids(documents: tuple[Document, ...]) -> list[str]:
    return [document.id for document in documents]


KINDS = [
    IidPartition(sites=4),
    QuantityPartition(sites=4, exponent=1.5),
    DirichletPartition(sites=4, alpha=0.1),
    NaturalPartition(by="institution"),
]
kinds = pytest.mark.parametrize("config", KINDS, ids=lambda config: str(config.kind))
counted = pytest.mark.parametrize("config", KINDS[:3], ids=lambda config: str(config.kind))


@st.composite
def corpora(draw: st.DrawFn) -> Corpus:
    sizes = [draw(st.integers(low, 25)) for low in (12, 0, 0)]
    return random_corpus(draw(st.integers(0, 1000)), *sizes)


@st.composite
def configs(draw: st.DrawFn) -> CountedPartition:
    sites, least, seed = draw(st.integers(1, 6)), draw(st.integers(1, 2)), draw(st.integers(0, 99))
    options = [
        IidPartition(sites=sites, min_train_documents=least, seed=seed),
        QuantityPartition(sites=sites, min_train_documents=least, seed=seed, exponent=3.0),
        DirichletPartition(sites=sites, min_train_documents=least, seed=seed, alpha=0.05),
        DirichletPartition(sites=sites, min_train_documents=least, seed=seed, alpha=10.0),
    ]
    return draw(st.sampled_from(options))


@settings(max_examples=60)
@given(corpora(), configs())
def test_every_document_is_in_exactly_one_site_in_corpus_order(corpus: Corpus, config: CountedPartition) -> None:
    shards = partition(corpus, config)
    for split in SPLITS:
        place = {document.id: index for index, document in enumerate(corpus.split(split))}
        held = [[place[document.id] for document in shard.split(split)] for shard in shards]
        assert sorted(index for each in held for index in each) == list(range(len(place)))
        assert all(a < b for each in held for a, b in pairwise(each))


@settings(max_examples=60)
@given(corpora(), configs())
def test_every_site_gets_its_minimum_of_every_split(corpus: Corpus, config: CountedPartition) -> None:
    shards = partition(corpus, config)
    assert all(len(shard.train) >= config.min_train_documents for shard in shards)
    for split in ("dev", "test"):
        if len(corpus.split(split)) >= len(shards):
            assert all(shard.split(split) for shard in shards)


@kinds
def test_the_same_seed_gives_the_same_sites(config: PartitionConfig) -> None:
    corpus = random_corpus(0)
    assert partition(corpus, config) == partition(corpus, config)


@counted
def test_another_seed_gives_other_sites(config: PartitionConfig) -> None:
    corpus = random_corpus(0)
    other = dataclasses.replace(config, seed=1)
    assert partition(corpus, config) != partition(corpus, other)


@kinds
def test_documents_are_handed_on_whole_and_unchanged(config: PartitionConfig) -> None:
    corpus = random_corpus(0)
    shards = partition(corpus, config)
    originals = {document.id: document for split in SPLITS for document in corpus.split(split)}
    assert all(document is originals[document.id] for s in shards for split in SPLITS for document in s.split(split))


@kinds
def test_sites_come_sorted_by_name(config: PartitionConfig) -> None:
    names = [shard.site for shard in partition(random_corpus(0), config)]
    assert names == sorted(set(names))


def test_site_numbers_are_padded_so_that_sorting_is_numeric() -> None:
    names = [shard.site for shard in partition(random_corpus(0), IidPartition(sites=11))]
    assert names[0] == "site-00"
    assert names[-1] == "site-10"
    assert [shard.site for shard in partition(random_corpus(0), IidPartition(sites=10))][-1] == "site-9"


def test_iid_balances_sentences_and_not_documents() -> None:
    long, short = [[document(f"{kind}{i}", *[sentence()] * n) for i in range(8)] for kind, n in (("l", 10), ("s", 1))]
    shards = partition(corpus_of(long + short), IidPartition(sites=4))
    sizes = [num_sentences(shard.train) for shard in shards]
    # 88 sentences over 4 sites are 22 each; no site is further off than one long document.
    assert max(sizes) - min(sizes) <= 10


def test_quantity_follows_the_power_law() -> None:
    corpus = corpus_of([document(str(index)) for index in range(1100)])
    sizes = [len(shard.train) for shard in partition(corpus, QuantityPartition(sites=3, exponent=1.0))]
    # 1 : 1/2 : 1/3 of 1100 is 600 : 300 : 200.
    assert sizes == pytest.approx([600, 300, 200], abs=1)


def test_quantity_with_exponent_zero_is_equal_sizes() -> None:
    corpus = corpus_of([document(str(index)) for index in range(12)])
    assert [len(s.train) for s in partition(corpus, QuantityPartition(sites=3, exponent=0.0))] == [4, 4, 4]


def test_smaller_alpha_means_more_divergence() -> None:
    divergences = [
        np.mean(
            [
                describe(partition(random_corpus(0, 300), config), CONTRACT).mean_divergence_bits or 0.0
                for config in (DirichletPartition(sites=4, alpha=alpha, seed=seed) for seed in range(8))
            ]
        )
        for alpha in (0.1, 1.0, 100.0)
    ]
    assert divergences[0] > 2 * divergences[1] > 4 * divergences[2]


def test_dirichlet_spreads_a_type_alike_over_train_and_test() -> None:
    corpus = random_corpus(0, 400, 400, 400)
    stats = describe(partition(corpus, DirichletPartition(sites=3, alpha=0.3)), CONTRACT)
    shares = [
        [[site.entities[name] for name in CONTRACT.type_names] for site in sites]
        for sites in ([site.train for site in stats.sites], [site.test for site in stats.sites])
    ]
    train, test = [np.array(each) / np.sum(each, axis=0) for each in shares]
    # About 100 documents per type: three standard errors of a share are at most 3 * sqrt(2 * 0.25 / 100) = 0.21.
    assert np.abs(train - test).max() < 0.21


def test_dirichlet_also_spreads_documents_without_entities() -> None:
    corpus = corpus_of([document(str(index)) for index in range(300)])
    sizes = [len(s.train) for s in partition(corpus, DirichletPartition(sites=3, alpha=0.3, min_train_documents=1))]
    assert sum(sizes) == 300
    # Dealt alike, a site's number has a standard deviation of sqrt(300 * 1/3 * 2/3) = 8.2.
    assert max(sizes) - min(sizes) > 6 * 8.2


def test_documents_are_moved_when_no_draw_gives_every_site_its_minimum() -> None:
    # One type only and alpha so small that one site takes all: 12 documents over 6 sites can only be 2 each.
    corpus = corpus_of([document(str(index), sentence("PER")) for index in range(12)])
    config = DirichletPartition(sites=6, alpha=0.001, min_train_documents=2)
    assert [len(shard.train) for shard in partition(corpus, config)] == [2] * 6


@counted
def test_too_few_documents_are_refused_with_the_numbers(config: PartitionConfig) -> None:
    with pytest.raises(ConfigError, match="expected 4 sites x 2 training documents = 8, got 7"):
        partition(random_corpus(0, train=7), config)


def test_a_partition_of_no_known_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected iid, dirichlet, quantity or natural"):
        partition(random_corpus(0), PartitionConfig(kind=PartitionKind.iid))


def test_natural_sites_are_those_the_documents_name() -> None:
    corpus = corpus_of(
        [document("a", site="west"), document("b", site="east"), document("c", site="west")],
        test=[document("d", site="east")],
    )
    east, west = partition(corpus, NaturalPartition(by="site"))
    assert (east.site, ids(east.train), ids(east.dev), ids(east.test)) == ("east", ["b"], [], ["d"])
    assert (west.site, ids(west.train), ids(west.dev), ids(west.test)) == ("west", ["a", "c"], [], [])


def test_a_document_that_names_no_site_is_refused_with_the_keys_it_has() -> None:
    corpus = corpus_of([document("a", institution="x"), document("b", year="1996", source="wire")])
    with pytest.raises(DataError, match=r"'b'.*'institution'.*source, year.*partition.by"):
        partition(corpus, NaturalPartition(by="institution"))


def test_a_natural_site_without_training_documents_is_refused() -> None:
    corpus = corpus_of([document("a", site="x")], test=[document("b", site="y")])
    with pytest.raises(DataError, match=r"none for y of the test split.*data\.unseen"):
        partition(corpus, NaturalPartition(by="site"))


@kinds
def test_unseen_documents_go_to_no_site(config: PartitionConfig) -> None:
    corpus = random_corpus(0)
    extra = document("extra", institution="elsewhere", site="f", unseen="yes")
    with_extra = dataclasses.replace(corpus, test=(*corpus.test, extra))
    assert partition(with_extra, config) == partition(corpus, config)


def test_unseen_documents_make_shards_of_their_own_for_testing_only() -> None:
    f, g = (document(name, site=name, unseen="yes") for name in "fg")
    corpus = corpus_of([document("a", site="x")], test=[g, document("b", site="x"), f])
    assert unseen_shards(corpus) == [Shard("f", (), (), (f,)), Shard("g", (), (), (g,))]
    assert unseen_shards(corpus_of([document("a")])) == []


def test_statistics_count_documents_sentences_words_and_entities() -> None:
    # PER PER LOC is 9 words with the plain ones between, an empty sentence 1 word.
    shard = Shard("x", (document("a", sentence("PER", "PER", "LOC"), sentence()), document("b")), (), ())
    train = describe([shard], CONTRACT).sites[0].train
    assert (train.documents, train.sentences, train.words) == (2, 3, 11)
    assert train.entities == {"PER": 2, "LOC": 1, "ORG": 0}


def test_the_pool_is_the_sum_of_the_sites() -> None:
    stats = describe(partition(random_corpus(0), DirichletPartition(sites=4, alpha=0.3)), CONTRACT)
    for split in SPLITS:
        pool, sites = getattr(stats, split), [getattr(site, split) for site in stats.sites]
        for name in ("documents", "sentences", "words"):
            assert getattr(pool, name) == sum(getattr(site, name) for site in sites)
        total = sum((Counter(site.entities) for site in sites), Counter())
        assert +Counter(pool.entities) == total


@settings(max_examples=30)
@given(st.integers(0, 1000))
def test_divergence_is_scipys_jensen_shannon_in_bits(seed: int) -> None:
    stats = describe(partition(random_corpus(seed), DirichletPartition(sites=3, alpha=0.2)), CONTRACT)
    pool = list(stats.train.entities.values())
    for site in stats.sites:
        mix = list(site.train.entities.values())
        # scipy returns the distance, the square root of the divergence.
        wanted = jensenshannon(mix, pool, base=2) ** 2 if sum(mix) else None
        assert site.divergence_bits == pytest.approx(wanted, abs=1e-12)


def test_divergence_of_sites_with_no_type_in_common() -> None:
    shards = [Shard(name, (document(name, sentence(name)),), (), ()) for name in ("PER", "LOC")]
    stats = describe(shards, CONTRACT)
    # p = (1, 0), pool = (1/2, 1/2), mean = (3/4, 1/4): H(mean) - (H(p) + H(pool)) / 2 = 0.811278 - (0 + 1) / 2.
    assert [site.divergence_bits for site in stats.sites] == pytest.approx([0.311278, 0.311278], abs=1e-6)
    assert stats.mean_divergence_bits == pytest.approx(0.311278, abs=1e-6)


def test_a_site_without_entities_has_no_divergence() -> None:
    stats = describe([Shard("x", (document("a"),), (), ())], CONTRACT)
    assert stats.sites[0].divergence_bits is None
    assert stats.mean_divergence_bits is None


def test_entities_outside_the_contract_are_refused() -> None:
    with pytest.raises(LabelError, match="B-DRUG"):
        describe([Shard("x", (document("a", sentence("DRUG")),), (), ())], CONTRACT)


def test_statistics_are_plain_json() -> None:
    stats = describe(partition(random_corpus(0), IidPartition(sites=2)), CONTRACT)
    plain = stats.to_json()
    assert json.loads(json.dumps(plain)) == plain
    assert [site["site"] for site in plain["sites"]] == ["site-0", "site-1"]
