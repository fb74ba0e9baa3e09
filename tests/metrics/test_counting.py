"""Counts and scores against seqeval's strict IOB2 and conlleval's chunk rules, on legal and illegal tags."""

import json
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.v1 import classification_report, precision_recall_fscore_support
from seqeval.scheme import IOB2

from fedner.data.annotation import tags_without
from fedner.data.labels import EntityType, LabelContract, spans_of, tags_of
from fedner.errors import LabelError, RunDirectoryError, RunError
from fedner.metrics import (
    PRF,
    Counts,
    Macro,
    Score,
    contributions,
    count,
    count_documents,
    only_annotated,
    pool,
    score,
    signature,
    total,
)

CONTRACT = LabelContract("test", 1, (EntityType("PER"), EntityType("LOC"), EntityType("G-ene"), EntityType("MISC")))
NUM_TYPES = len(CONTRACT.type_names)

Sentences = list[list[str]]

any_tags = st.lists(st.sampled_from(CONTRACT.tags), max_size=12)
# Mostly PER tags, so that runs of B and I of one type, and hits, come up often.
dense_tags = st.lists(st.sampled_from(["O", "B-PER", "I-PER", "B-PER", "I-PER", "I-LOC", "B-LOC"]), max_size=8)


@st.composite
def scored(draw: st.DrawFn) -> tuple[Sentences, Sentences]:
    """Draw gold and predicted sentences of arbitrary contract tags, sometimes equal in places."""
    gold: Sentences = []
    predicted: Sentences = []
    for tags in draw(st.lists(st.one_of(any_tags, dense_tags), max_size=6)):
        gold.append(tags)
        other = st.lists(st.sampled_from(CONTRACT.tags), min_size=len(tags), max_size=len(tags))
        mixed = st.lists(st.booleans(), min_size=len(tags), max_size=len(tags)).flatmap(
            lambda keep, tags=tags, other=other: other.map(
                lambda new: [old if kept else tag for kept, old, tag in zip(keep, tags, new, strict=True)]
            )
        )
        predicted.append(draw(st.one_of(st.just(tags), other, mixed)))
    return gold, predicted


@st.composite
def legal_tags(draw: st.DrawFn) -> list[str]:
    pieces = draw(st.lists(st.tuples(st.sampled_from(["O", *CONTRACT.type_names]), st.integers(1, 3)), max_size=5))
    return [
        tag
        for name, size in pieces
        for tag in (["O"] * size if name == "O" else [f"B-{name}"] + [f"I-{name}"] * (size - 1))
    ]


@st.composite
def counts_of_four(draw: st.DrawFn) -> Counts:
    numbers = st.tuples(*[st.integers(0, 50)] * NUM_TYPES)
    return Counts(draw(numbers), draw(numbers), draw(numbers))


def test_a_case_worked_by_hand() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC", "B-LOC", "O"], ["B-MISC"]]
    predicted = [["B-PER", "I-PER", "O", "B-PER"], ["B-LOC", "I-LOC", "O"], ["O"]]
    # PER: [0,2) right; the last word is predicted PER and is LOC: tp 1, fp 1, fn 0.
    # LOC: of three gold ones none is found, and one is predicted too long: tp 0, fp 1, fn 3. MISC: missed, fn 1.
    counts = count(gold, predicted, CONTRACT)
    assert counts == Counts(tp=(1, 0, 0, 0), fp=(1, 1, 0, 0), fn=(0, 3, 0, 1))
    result = score(counts, CONTRACT)
    # PER: precision 1/2, recall 1/1, F1 2/3. Micro: tp 1, fp 2, fn 4, so 1/3, 1/5 and 2/(2+2+4) = 1/4.
    assert result.types["PER"] == PRF(0.5, 1.0, pytest.approx(2 / 3), 1, 1, 0, 1)
    assert result.micro == PRF(pytest.approx(1 / 3), 0.2, 0.25, 1, 2, 4, 5)
    # Macro over PER, LOC and MISC, which occur; G-ene does not: (1/2)/3, 1/3, (2/3)/3.
    assert result.macro == Macro(pytest.approx(1 / 6), pytest.approx(1 / 3), pytest.approx(2 / 9))
    assert result.types["G-ene"] == PRF(0.0, 0.0, 0.0, 0, 0, 0, 0)
    assert list(result.types) == list(CONTRACT.type_names)


def occurs(gold: Sentences, predicted: Sentences) -> bool:
    return any(tag.startswith("B-") for sentences in (gold, predicted) for tags in sentences for tag in tags)


@settings(max_examples=400)
@given(scored())
def test_scores_are_seqevals_on_any_tags(case: tuple[Sentences, Sentences]) -> None:
    gold, predicted = case
    result = score(count(gold, predicted, CONTRACT), CONTRACT)
    if not occurs(gold, predicted):
        # seqeval has no averages here: it divides by the number of types that occur.
        assert result.micro == PRF.of(0, 0, 0)
        assert result.macro == Macro(0.0, 0.0, 0.0)
        return
    for average, ours in (("micro", result.micro), ("macro", result.macro)):
        *wanted, support = precision_recall_fscore_support(
            gold, predicted, average=average, scheme=IOB2, zero_division=0
        )
        assert [ours.precision, ours.recall, ours.f1] == pytest.approx(wanted, abs=1e-12)
        assert result.micro.support == support


@settings(max_examples=200)
@given(scored())
def test_types_are_seqevals_report_on_any_tags(case: tuple[Sentences, Sentences]) -> None:
    gold, predicted = case
    result = score(count(gold, predicted, CONTRACT), CONTRACT)
    if not occurs(gold, predicted):
        return
    report = classification_report(gold, predicted, scheme=IOB2, output_dict=True, zero_division=0)
    occurring = {name: prf for name, prf in result.types.items() if prf.tp + prf.fp + prf.fn}
    assert occurring.keys() == {name for name in report if not name.endswith(" avg")}
    for name, prf in occurring.items():
        assert [prf.precision, prf.recall, prf.f1, prf.support] == pytest.approx(list(report[name].values()), abs=1e-12)


def conlleval_chunks(tags: list[str]) -> set[tuple[str, int, int]]:
    """Return the chunks by the rules of conlleval (Tjong Kim Sang & De Meulder 2003), written for IOB2 input.

    A chunk starts at B, or where the type changes or an I follows an O; it ends before a B, an O, or a change of type.
    """
    chunks: set[tuple[str, int, int]] = set()
    previous, previous_type, begin = "O", "", 0
    for index, tag in enumerate([*tags, "O"]):
        kind, _, name = tag.partition("-")
        ends = previous in "BI" and (kind in "BO" or name != previous_type)
        starts = kind == "B" or (kind == "I" and (previous == "O" or name != previous_type))
        if ends:
            chunks.add((previous_type, begin, index))
        if starts:
            begin = index
        previous, previous_type = kind, name
    return chunks


@settings(max_examples=200)
@given(st.lists(st.tuples(legal_tags(), legal_tags()), max_size=5))
def test_counts_are_conllevals_on_legal_tags(pairs: list[tuple[list[str], list[str]]]) -> None:
    pairs = [(a[: min(len(a), len(b))], b[: min(len(a), len(b))]) for a, b in pairs]
    counts = count([gold for gold, _ in pairs], [predicted for _, predicted in pairs], CONTRACT)
    chunks = [(conlleval_chunks(gold), conlleval_chunks(predicted)) for gold, predicted in pairs]
    for index, name in enumerate(CONTRACT.type_names):
        right = sum(sum(chunk[0] == name for chunk in gold & found) for gold, found in chunks)
        assert counts.tp[index] == right
        assert counts.fp[index] == sum(sum(chunk[0] == name for chunk in found) for _, found in chunks) - right
        assert counts.fn[index] == sum(sum(chunk[0] == name for chunk in gold) for gold, _ in chunks) - right


@settings(max_examples=100)
@given(legal_tags())
def test_gold_entities_are_those_of_the_contract_module(tags: list[str]) -> None:
    spans = spans_of(tags)
    assert tags_of(spans, len(tags)) == tags
    assert total(count_documents([tags], [tags], [0], 1, CONTRACT)).tp == tuple(
        sum(span.type == name for span in spans) for name in CONTRACT.type_names
    )


@settings(max_examples=100)
@given(scored(), st.data())
def test_pooled_counts_are_the_counts_of_pooled_predictions(
    case: tuple[Sentences, Sentences], data: st.DataObject
) -> None:
    gold, predicted = case
    site_of = data.draw(st.lists(st.integers(0, 2), min_size=len(gold), max_size=len(gold)))
    by_site = []
    for site in range(3):
        own = [index for index, held in enumerate(site_of) if held == site]
        by_site.append(count([gold[index] for index in own], [predicted[index] for index in own], CONTRACT))
    assert pool(by_site) == count(gold, predicted, CONTRACT)


@settings(max_examples=100)
@given(scored(), st.data())
def test_counts_per_document_are_the_counts_of_each_document(
    case: tuple[Sentences, Sentences], data: st.DataObject
) -> None:
    gold, predicted = case
    # Four documents of which the last never has sentences.
    document_of = data.draw(st.lists(st.integers(0, 2), min_size=len(gold), max_size=len(gold)))
    counts = count_documents(gold, predicted, document_of, 4, CONTRACT)
    assert counts.shape == (4, NUM_TYPES, 3)
    assert counts.dtype == np.int64
    for document in range(4):
        own = [index for index, held in enumerate(document_of) if held == document]
        alone = count([gold[index] for index in own], [predicted[index] for index in own], CONTRACT)
        assert total(counts[document : document + 1]) == alone


@given(counts_of_four(), counts_of_four(), counts_of_four())
def test_counts_form_a_commutative_monoid(a: Counts, b: Counts, c: Counts) -> None:
    zero = Counts.zero(NUM_TYPES)
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + zero == zero + a == a


@given(st.permutations([Counts((n,), (n + 1,), (n * n,)) for n in range(5)]))
def test_pooling_does_not_depend_on_order(counts: list[Counts]) -> None:
    # 0+1+2+3+4, each one more, and 0+1+4+9+16.
    assert pool(counts) == Counts((10,), (15,), (30,))


def test_a_word_costs_three_calls_of_python_at_most_however_many_there_are() -> None:
    # The rest is numpy's: fifty thousand words in a tenth of a second.
    rng = np.random.default_rng(0)
    gold, predicted = ([[CONTRACT.tags[i] for i in rng.integers(9, size=15)] for _ in range(2000)] for _ in range(2))
    events: Counter[str] = Counter()
    sys.setprofile(lambda frame, event, argument: events.update([event]))
    try:
        count(gold, predicted, CONTRACT)
    finally:
        sys.setprofile(None)
    assert events["call"] <= 3 * 2000 * 15


def test_no_sentences_give_zero_counts() -> None:
    assert count([], [], CONTRACT) == Counts.zero(NUM_TYPES)
    assert count([[]], [[]], CONTRACT) == Counts.zero(NUM_TYPES)


def test_an_entity_does_not_cross_into_the_next_sentence() -> None:
    assert count([["B-PER"], ["I-PER"]], [["B-PER"], ["O"]], CONTRACT).tp == (1, 0, 0, 0)


def test_a_tag_outside_the_contract_is_refused_by_name() -> None:
    with pytest.raises(LabelError, match=r"'B-DRUG' is not in contract 'test'"):
        count([["B-PER"]], [["B-DRUG"]], CONTRACT)


def test_missing_predictions_are_refused_with_the_sentence() -> None:
    with pytest.raises(LabelError, match="sentence 1 has 2 gold tags and 1 predicted"):
        count([["O"], ["O", "O"]], [["O"], ["O"]], CONTRACT)
    with pytest.raises(LabelError, match="2 gold, 1 predicted"):
        count([["O"], ["O"]], [["O"]], CONTRACT)


def test_document_indices_out_of_range_are_refused() -> None:
    with pytest.raises(LabelError, match=r"0 \.\. 1, got 2 \.\. 2"):
        count_documents([["O"]], [["O"]], [2], 2, CONTRACT)


def test_counts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(LabelError, match="4 and of 3 entity types cannot be added"):
        Counts.zero(4) + Counts.zero(3)
    with pytest.raises(LabelError, match="got 1, 2 and 1 numbers"):
        Counts((1,), (1, 2), (1,))
    with pytest.raises(LabelError, match="0 or more"):
        Counts((1,), (-1,), (1,))
    with pytest.raises(LabelError, match="has 4 types, the counts 3"):
        score(Counts.zero(3), CONTRACT)
    with pytest.raises(RunError, match="at least one site"):
        pool([])


def test_a_score_survives_json() -> None:
    before = score(Counts((3, 0, 1, 0), (1, 0, 7, 0), (2, 5, 0, 0)), CONTRACT)
    assert Score.from_json(json.loads(json.dumps(before.to_json()))) == before


def test_json_has_the_keys_of_the_schema() -> None:
    plain = score(Counts((1, 0, 0, 0), (0,) * 4, (1, 0, 0, 0)), CONTRACT).to_json()
    assert list(plain) == ["micro", "macro", "types"]
    assert list(plain["macro"]) == ["precision", "recall", "f1"]
    # tp 1 and fn 1: precision 1, recall 1/2, F1 2/3.
    micro = {"precision": 1.0, "recall": 0.5, "f1": 2 / 3, "tp": 1, "fp": 0, "fn": 1, "support": 2}
    assert plain["micro"] == micro
    assert list(plain["micro"]) == list(micro)
    assert list(plain["types"]) == ["PER", "LOC", "G-ene", "MISC"]


def test_a_score_read_back_passes_over_later_keys_and_refuses_missing_ones() -> None:
    plain = json.loads(json.dumps(score(Counts.zero(4), CONTRACT).to_json()))
    plain["micro"]["added_later"] = 1
    assert Score.from_json(plain).micro == PRF.of(0, 0, 0)
    del plain["macro"]["f1"]
    with pytest.raises(RunDirectoryError, match="KeyError: 'f1'"):
        Score.from_json(plain)


def test_the_signature_tells_how_a_score_was_made() -> None:
    parts = signature(CONTRACT, documents=231, samples=1000, seed=7).split("|")
    assert parts[:5] == ["entity-f1", "scheme:IOB2", "mode:strict", "macro:occurring", "zero-division:0"]
    assert f"contract:test-v1-{CONTRACT.digest[:12]}" in parts
    assert "documents:231" in parts
    assert "bootstrap:documents-1000-seed-7" in parts
    assert "bootstrap" not in signature(CONTRACT)


@settings(max_examples=100)
@given(scored(), st.lists(st.sets(st.sampled_from(CONTRACT.type_names)), min_size=6, max_size=6))
def test_leaving_types_out_is_seqeval_on_text_without_them_on_both_sides(
    case: tuple[Sentences, Sentences], hidden: list[set[str]]
) -> None:
    gold, predicted = case  # each sentence a document with types of its own that nobody looked for
    counts = count_documents(gold, predicted, range(len(gold)), len(gold), CONTRACT)
    found = score(total(only_annotated(counts, hidden[: len(gold)], CONTRACT)), CONTRACT)
    stripped = [[list(tags_without(tags, types)) for tags, types in zip(side, hidden, strict=False)] for side in case]
    if not occurs(*stripped):
        assert found.micro.tp + found.micro.fp + found.micro.fn == 0
        return
    wanted = precision_recall_fscore_support(*stripped, average="micro", scheme=IOB2, zero_division=0)
    assert (found.micro.precision, found.micro.recall, found.micro.f1) == pytest.approx(wanted[:3], abs=1e-12)


def test_contributions_name_the_sites_that_annotated_a_type_with_their_entities() -> None:
    north = score(Counts((3, 0, 0, 1), (0, 0, 0, 9), (2, 4, 0, 0)), CONTRACT)
    south = score(Counts((0, 6, 0, 0), (0, 0, 0, 0), (0, 1, 0, 0)), CONTRACT)
    found = contributions({"south": south, "north": north}, {"south": ("PER", "MISC"), "north": ("G-ene",)})
    assert found == {"PER": {"north": 5}, "LOC": {"north": 4, "south": 7}, "G-ene": {"south": 0}, "MISC": {"north": 1}}
    assert list(found["LOC"]) == ["north", "south"]
