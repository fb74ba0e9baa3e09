"""The loss where not every type was annotated, against sums of probabilities by hand and torch's own gradients."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

from fedner.config import Partial, Precision, TrainingConfig
from fedner.data.annotation import without_types
from fedner.data.corpus import Document
from fedner.data.encoding import Encoded
from fedner.learning.batches import collate, owned_words, pack
from fedner.learning.inference import evaluate, log_probabilities, predict_tags
from fedner.learning.tagger.model import Tagger
from fedner.learning.tagger.tensors import get_state, set_state
from fedner.learning.training.fitting import fit
from fedner.learning.training.partial import partial_loss, unannotated
from fedner.learning.training.schedule import in_round
from fedner.metrics import score, total
from fedner.tensors import digest

CPU = torch.device("cpu")
OUTSIDE, B_PER, I_PER, B_LOC, I_LOC = range(5)
# Three words of a site that did not look for LOC: logits are logs of whole numbers, so that probabilities are shares.
SHARES = torch.tensor([[4.0, 1, 1, 3, 1], [2, 5, 1, 1, 1], [1, 2, 1, 4, 2]])  # each row sums to 10
TARGETS = torch.tensor([OUTSIDE, B_PER, OUTSIDE])
HIDDEN = torch.tensor([[False, False, False, True, True]] * 3)


def encoded_of(tagger: Tagger, documents: tuple[Document, ...]) -> Encoded:
    return tagger.encode(documents)


@pytest.fixture
def partly(documents: tuple[Document, ...]) -> tuple[Document, ...]:
    """Nine documents: every third annotated in full, others without LOC, others without PER."""
    return tuple(
        document if index % 3 == 0 else without_types(document, ["LOC"] if index % 3 == 1 else ["PER"])
        for index, document in enumerate(documents)
    )


def test_an_o_is_scored_by_the_sum_over_what_it_may_hide():
    # Word 0: O, B-LOC and I-LOC have 4 + 3 + 1 of 10. Word 1 is B-PER: 5 of 10. Word 2: 1 + 4 + 2 of 10.
    wanted = -math.log(0.8) - math.log(0.5) - math.log(0.7)
    assert float(partial_loss(SHARES.log(), TARGETS, HIDDEN)) == pytest.approx(wanted, rel=1e-6)


def test_its_gradient_is_that_of_the_explicit_sum():
    logits = SHARES.log().requires_grad_()
    partial_loss(logits, TARGETS, HIDDEN).backward()
    plain = SHARES.log().requires_grad_()
    p = plain.softmax(dim=-1)
    (
        -torch.log(p[0, OUTSIDE] + p[0, B_LOC] + p[0, I_LOC])
        - torch.log(p[1, B_PER])
        - torch.log(p[2, [0, 3, 4]].sum())
    ).backward()
    torch.testing.assert_close(logits.grad, plain.grad)
    # By hand, at B-LOC of word 0: p - p / P(allowed) = 0.3 - 0.3 / 0.8.
    assert float(logits.grad[0, B_LOC]) == pytest.approx(0.3 - 0.3 / 0.8, abs=1e-6)


def test_distillation_is_the_divergence_within_what_an_o_may_hide():
    believed = torch.tensor([[0.5, 0.2, 0.1, 0.1, 0.1]] * 3).log()
    found = partial_loss(SHARES.log(), TARGETS, HIDDEN, believed, 2.0) - partial_loss(SHARES.log(), TARGETS, HIDDEN)
    # Given O or LOC the teacher has (5, 1, 1) / 7, the words (4, 3, 1) / 8 and (1, 4, 2) / 7; word 1 is not an O.
    first = 5 / 7 * math.log((5 / 7) / (4 / 8)) + 1 / 7 * math.log((1 / 7) / (3 / 8)) + 1 / 7 * math.log(8 / 7)
    third = 5 / 7 * math.log(5) + 1 / 7 * math.log(1 / 4) + 1 / 7 * math.log(1 / 2)
    assert float(found) == pytest.approx(2 * (first + third), rel=1e-5)


def test_distillation_at_weight_1_has_the_gradient_of_the_expected_cross_entropy():
    believed = torch.tensor([[0.5, 0.2, 0.1, 0.1, 0.1]] * 3).log()
    ours, plain = SHARES.log().requires_grad_(), SHARES.log().requires_grad_()
    partial_loss(ours, TARGETS, HIDDEN, believed, 1.0).backward()
    q = torch.tensor([[5 / 7, 0, 0, 1 / 7, 1 / 7], [0, 1, 0, 0, 0], [5 / 7, 0, 0, 1 / 7, 1 / 7]])
    (-(q * plain.log_softmax(dim=-1)).sum()).backward()
    torch.testing.assert_close(ours.grad, plain.grad)
    assert bool(torch.isfinite(ours.grad).all())


@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.integers(1, 9))
def test_with_nothing_left_open_it_is_the_cross_entropy_bit_for_bit(seed: int, num_words: int, num_types: int):
    generator = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(num_words, 2 * num_types + 1, generator=generator)
    targets = torch.randint(2 * num_types + 1, (num_words,), generator=generator)
    ours, plain = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = partial_loss(ours, targets, torch.zeros_like(logits, dtype=torch.bool))
    wanted = torch.nn.functional.cross_entropy(plain, targets, reduction="sum")
    loss.backward()
    wanted.backward()
    assert torch.equal(loss, wanted)
    assert torch.equal(ours.grad, plain.grad)


def test_each_word_may_hide_what_its_own_document_leaves_open(
    tagger: Tagger, partly: tuple[Document, ...], config: TrainingConfig
):
    encoded = encoded_of(tagger, partly)
    found = unannotated(encoded, tagger.contract, CPU)
    assert found is not None
    wanted = [
        [tag[2:] in document.unannotated for tag in tagger.contract.tags]
        for document in partly
        for sentence in document.sentences
        for _ in sentence.words
    ]
    assert found.at(np.arange(encoded.num_words)).tolist() == wanted


@pytest.mark.parametrize("packed", [True, False])
def test_a_batch_knows_the_words_behind_its_places(tagger: Tagger, encoded: Encoded, packed: bool):
    windows = np.random.default_rng(0).permutation(encoded.num_windows)
    batch = pack(encoded, windows, CPU, torch.float32) if packed else collate(encoded, windows, CPU)
    tags = [tagger.contract.tag_ids[tag] for sentence in encoded.sentences() for tag in sentence.tags]
    assert batch.targets.tolist() == [tags[word] for word in owned_words(encoded, batch.windows)]


def test_a_fit_goes_down_the_gradient_of_the_marginal_loss(
    tagger: Tagger, partly: tuple[Document, ...], config: TrainingConfig
):
    for module in tagger.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    encoded = encoded_of(tagger, partly)
    config = replace(config, batch_size=encoded.num_windows, precision=Precision.fp32, distil_weight=0.0)
    batch = collate(encoded, np.arange(encoded.num_windows), CPU)
    model = copy.deepcopy(tagger.model).eval()
    p = model(input_ids=batch.input_ids, attention_mask=batch.mask).logits.flatten(0, 1)[batch.positions].softmax(-1)
    hides = [document.unannotated for document in partly for s in document.sentences for _ in s.words]
    loss = torch.zeros(())
    for row, target, types in zip(p, batch.targets.tolist(), hides, strict=True):
        allowed = [target] + [i for i, tag in enumerate(tagger.contract.tags) if target == 0 and tag[2:] in types]
        loss = loss - row[allowed].sum().log()
    result = fit(tagger, encoded, in_round(config, seed=0, site="a", number=1, rounds=1))
    assert result.loss_sum == pytest.approx(float(loss.detach()), rel=1e-4)


def test_sums_of_a_shard_that_annotates_everything_are_those_of_the_plain_loss(
    tagger: Tagger, documents: tuple[Document, ...], config: TrainingConfig
):
    start, digests = get_state(tagger.model), set()
    for settings in (config, replace(config, partial=Partial.ignore), replace(config, distil_weight=0.0)):
        set_state(tagger.model, start)
        fit(tagger, encoded_of(tagger, documents), in_round(settings, seed=0, site="a", number=1, rounds=1))
        digests.add(digest(get_state(tagger.model)))
    assert len(digests) == 1


def test_ignoring_trains_as_if_everything_had_been_looked_for(
    tagger: Tagger, partly: tuple[Document, ...], config: TrainingConfig
):
    start, digests = get_state(tagger.model), []
    told = tuple(replace(document, unannotated=()) for document in partly)
    for documents, partial in ((partly, Partial.ignore), (told, Partial.marginal), (partly, Partial.marginal)):
        set_state(tagger.model, start)
        settings = replace(config, partial=partial)
        fit(tagger, encoded_of(tagger, documents), in_round(settings, seed=0, site="a", number=1, rounds=1))
        digests.append(digest(get_state(tagger.model)))
    assert digests[0] == digests[1] != digests[2]


def test_distillation_holds_what_an_o_may_be_near_where_the_round_began(
    tagger: Tagger, documents: tuple[Document, ...], config: TrainingConfig
):
    encoded = encoded_of(tagger, tuple(without_types(document, ["LOC"]) for document in documents))
    start, everything, moved = get_state(tagger.model), np.arange(encoded.num_windows), []
    before = log_probabilities(tagger, encoded, config, everything)
    outside = np.array([tag == "O" for sentence in encoded.sentences() for tag in sentence.tags])
    for weight in (0.0, 5.0):
        set_state(tagger.model, start)
        settings = replace(config, distil_weight=weight, epochs=4, lr=3e-3)
        fit(tagger, encoded, in_round(settings, seed=0, site="a", number=1, rounds=1))
        after = log_probabilities(tagger, encoded, config, everything)
        odds = [each[outside, B_LOC] - each[outside, OUTSIDE] for each in (before, after)]
        moved.append(float(np.abs(odds[1] - odds[0]).mean()))
    assert moved[1] < 0.5 * moved[0]


def test_beliefs_are_those_of_the_model_on_the_windows_asked_for(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig
):
    config = replace(config, precision=Precision.fp32)
    windows = np.array([1, 4])
    found = log_probabilities(tagger, encoded, config, windows)
    batch = collate(encoded, windows, CPU)
    with torch.no_grad():
        logits = tagger.model(input_ids=batch.input_ids, attention_mask=batch.mask).logits.flatten(0, 1)
    wanted = logits[batch.positions].log_softmax(-1).numpy()
    words = owned_words(encoded, windows)
    np.testing.assert_allclose(found[words], wanted, rtol=1e-4, atol=1e-5)
    assert not np.delete(found, words, axis=0).any()


def test_a_sites_score_is_seqevals_after_the_other_types_are_stripped_from_both_sides(
    tagger: Tagger, partly: tuple[Document, ...], documents: tuple[Document, ...], config: TrainingConfig
):
    encoded = encoded_of(tagger, partly)
    settings = replace(config, lr=1e-2, epochs=6)
    fit(tagger, encoded_of(tagger, documents), in_round(settings, seed=0, site="a", number=1, rounds=1))
    predicted = predict_tags(tagger, encoded, config)
    hides = [document.unannotated for document in partly for _ in document.sentences]
    sides = [
        [["O" if tag[2:] in types else tag for tag in tags] for tags, types in zip(side, hides, strict=True)]
        for side in ([sentence.tags for sentence in encoded.sentences()], predicted)
    ]
    assert sides[1] != predicted  # it did find what nobody looked for
    found = score(total(evaluate(tagger, encoded, config).document_counts), tagger.contract)
    wanted = f1_score(*sides, mode="strict", scheme=IOB2, zero_division=0)
    assert wanted > 0
    assert found.micro.f1 == pytest.approx(wanted)
