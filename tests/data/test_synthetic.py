from collections import Counter
from collections.abc import Iterable

import pytest

from fedner.config import SyntheticData
from fedner.data.corpus import SPLITS, Corpus, Document
from fedner.data.labels import EntityType, LabelContract, spans_of
from fedner.data.synthetic import generate
from fedner.errors import LabelError

TYPES = ("PATIENT", "DRUG", "DOSE", "DATE", "HOSPITAL")


def contract_of(*names: str) -> LabelContract:
    return LabelContract("notes", 1, tuple(EntityType(name) for name in names))


def corpus_of(config: SyntheticData) -> Corpus:
    return generate(config, contract_of(*TYPES))


def all_documents(corpus: Corpus) -> list[Document]:
    return [document for split in SPLITS for document in corpus.split(split)]


def entities(documents: Iterable[Document]) -> Counter[tuple[str, str]]:
    """Count (type, surface form)."""
    return Counter(
        (span.type, " ".join(sentence.words[span.start : span.end]))
        for document in documents
        for sentence in document.sentences
        for span in spans_of(sentence.tags)
    )


def type_shares(documents: Iterable[Document]) -> dict[str, float]:
    counts: Counter[str] = Counter()
    for (entity_type, _), number in entities(documents).items():
        counts[entity_type] += number
    return {name: counts[name] / counts.total() for name in TYPES}


def words_without_tag(documents: Iterable[Document]) -> set[str]:
    return {
        word.lower()
        for document in documents
        for sentence in document.sentences
        for word, tag in zip(sentence.words, sentence.tags, strict=True)
        if tag == "O"
    }


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return corpus_of(SyntheticData(institutions=4, generator_seed=7))


def test_same_config_gives_the_same_corpus(corpus: Corpus) -> None:
    assert corpus_of(SyntheticData(institutions=4, generator_seed=7)) == corpus


def test_another_seed_gives_another_text(corpus: Corpus) -> None:
    other = corpus_of(SyntheticData(institutions=4, generator_seed=8))
    assert all(other.split(split) != corpus.split(split) for split in SPLITS)


def test_more_documents_do_not_change_those_already_there(corpus: Corpus) -> None:
    larger = {
        document.id: document for document in corpus_of(SyntheticData(train_documents=160, generator_seed=7)).train
    }
    assert all(larger[document.id] == document for document in corpus.train)


def test_splits_have_the_numbers_asked_for() -> None:
    corpus = corpus_of(SyntheticData(institutions=5, train_documents=33, dev_documents=8, test_documents=2))
    assert [len(corpus.split(split)) for split in SPLITS] == [33, 8, 2]


def test_every_tag_is_legal_iob2_of_the_contract(corpus: Corpus) -> None:
    for document in all_documents(corpus):
        for sentence in document.sentences:
            assert len(sentence.words) == len(sentence.tags)
            assert set(sentence.tags) <= set(corpus.contract.tags)
            for before, tag in zip(("O", *sentence.tags), sentence.tags, strict=False):
                assert not tag.startswith("I-") or before[2:] == tag[2:], sentence


def test_no_word_is_empty_or_left_over_from_a_template(corpus: Corpus) -> None:
    words = [word for document in all_documents(corpus) for sentence in document.sentences for word in sentence.words]
    assert all(word and word.split() == [word] and not set(word) & set("{}^") for word in words)


def test_ids_are_unique_and_no_document_is_written_twice(corpus: Corpus) -> None:
    documents = all_documents(corpus)
    assert len({document.id for document in documents}) == len(documents)
    assert len({document.sentences for document in documents if len(document.sentences) > 3}) == sum(
        len(document.sentences) > 3 for document in documents
    )


@pytest.mark.parametrize("institutions", [1, 3, 16])
def test_every_institution_is_in_every_split_that_has_room(institutions: int) -> None:
    corpus = corpus_of(
        SyntheticData(institutions=institutions, train_documents=40, dev_documents=16, test_documents=16)
    )
    for split in SPLITS:
        assert len({document.metadata["institution"] for document in corpus.split(split)}) == institutions


def test_institutions_differ_in_size_and_entity_mix(corpus: Corpus) -> None:
    by_institution: dict[str, list[Document]] = {}
    for document in corpus.train:
        by_institution.setdefault(document.metadata["institution"], []).append(document)
    sizes = sorted(len(documents) for documents in by_institution.values())
    assert sizes[-1] > 1.5 * sizes[0]
    shares = [type_shares(documents) for documents in by_institution.values()]
    distances = [
        sum(abs(one[name] - other[name]) for name in TYPES) / 2  # total variation distance
        for index, one in enumerate(shares)
        for other in shares[:index]
    ]
    assert max(distances) > 0.3
    assert min(distances) > 0.05


def test_institutions_share_some_names_and_keep_some_apart(corpus: Corpus) -> None:
    drugs = {
        name: {
            form.lower()
            for (entity_type, form) in entities(d for d in corpus.train if d.metadata["institution"] == name)
            if entity_type == "DRUG"
        }
        for name in {document.metadata["institution"] for document in corpus.train}
    }
    everywhere, somewhere = set.intersection(*drugs.values()), set.union(*drugs.values())
    assert all(names < somewhere for names in drugs.values())
    assert any(one & other for one in drugs.values() for other in drugs.values() if one is not other)
    assert everywhere != somewhere


def test_every_type_occurs_in_every_split_and_some_entities_have_several_words(corpus: Corpus) -> None:
    for split in SPLITS:
        found = entities(corpus.split(split))
        assert {entity_type for entity_type, _ in found} == set(TYPES)
        assert {entity_type for entity_type, form in found if " " in form} >= {"PATIENT", "DATE", "DOSE", "HOSPITAL"}


def test_some_sentences_have_no_entity(corpus: Corpus) -> None:
    plain = [set(s.tags) == {"O"} for document in corpus.train for s in document.sentences]
    assert 0.1 < sum(plain) / len(plain) < 0.4


def test_words_are_entities_in_one_sentence_and_not_in_another(corpus: Corpus) -> None:
    without = words_without_tag(corpus.train)
    for entity_type in ("PATIENT", "DATE", "DOSE", "HOSPITAL"):
        inside = {w.lower() for (name, form) in entities(corpus.train) if name == entity_type for w in form.split()}
        assert {word for word in inside & without if word.isalnum()}, entity_type


def test_test_split_has_names_that_training_never_shows() -> None:
    corpus = corpus_of(SyntheticData(train_documents=300, test_documents=60))
    shown = {word for (_, form) in entities([*corpus.train, *corpus.dev]) for word in form.lower().split()}
    test_drugs = {form.lower() for (name, form) in entities(corpus.test) if name == "DRUG"}
    unseen = test_drugs - shown
    assert 0.1 < len(unseen) / len(test_drugs) < 0.7


def test_notice_says_that_the_text_is_synthetic(corpus: Corpus) -> None:
    assert "synthetic" in corpus.notice.lower()


def test_contract_without_a_type_is_refused_with_its_name() -> None:
    with pytest.raises(LabelError, match="without DOSE, HOSPITAL"):
        generate(SyntheticData(), contract_of("PATIENT", "DRUG", "DATE"))


def test_contract_may_have_more_types_in_any_order() -> None:
    corpus = generate(SyntheticData(), contract_of("WARD", *reversed(TYPES)))
    assert corpus.train == corpus_of(SyntheticData()).train
