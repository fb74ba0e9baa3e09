import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedner.config import FederationConfig, TrainingConfig, Weighting
from fedner.data.labels import EntityType, LabelContract
from fedner.errors import ConfigError, QuorumError
from fedner.metrics import Counts, score
from fedner.protocol.auxiliary import AUXILIARIES, CONTROL
from fedner.protocol.budget import most_examples
from fedner.protocol.messages import Header, TrainReply, TrainRequest
from fedner.records.results import RoundRecord
from fedner.records.stopping import should_stop
from fedner.refusals import Origin, Refusal, RefusalCode, no_reply, unusable
from fedner.server.participation import require_quorum, sample_sites, suspended, weigh
from fedner.server.validation import (
    Limits,
    TypicalUpdate,
    max_step_norm,
    norm_of,
    typical_update,
    validate_update,
)

SENT = Header(run="r", round=2, seed=0, contract="c" * 64)
GLOBAL = {"a": np.zeros((2, 2), dtype=np.float32), "b": np.zeros(3, dtype=np.float32)}
REQUEST = TrainRequest(header=SENT, config="{}", state="5" * 64, arrays=GLOBAL)
GOOD = TrainReply(
    header=SENT, started_from="5" * 64, arrays={name: array + 1 for name, array in GLOBAL.items()}, num_examples=4,
    num_words=30, loss_sum=2.0, steps=1, seconds=0.1,
)  # fmt: skip
HALF = FederationConfig(fraction=0.5)
LIMITS = Limits(examples=4, step_norm=8.0, typical=TypicalUpdate(norm=0.5, steps=1), factor=10)


@given(
    names=st.sets(st.text(min_size=1, max_size=5), min_size=1, max_size=12),
    fraction=st.floats(0.01, 1),
    seed=st.integers(0, 99),
)
def test_a_sample_is_sorted_and_of_the_wanted_size_whatever_the_order_of_sites(names, fraction, seed):
    config = FederationConfig(fraction=fraction)
    chosen = sample_sites(list(names), config, seed, 3)
    assert chosen == tuple(sorted(chosen))
    assert set(chosen) <= names
    assert abs(len(chosen) - fraction * len(names)) <= 0.5 + 1e-9 or len(chosen) == 1
    assert chosen == sample_sites(sorted(names, reverse=True), config, seed, 3)


def test_samples_differ_between_rounds_and_seeds():
    sites = [f"site-{index}" for index in range(20)]
    by_round = {sample_sites(sites, HALF, 0, number) for number in range(1, 6)}
    by_seed = {sample_sites(sites, HALF, seed, 1) for seed in range(5)}
    assert len(by_round) == 5
    assert len(by_seed) == 5


def test_over_many_rounds_every_site_takes_part_about_equally_often():
    sites = [f"s{index}" for index in range(4)]
    turns = [site for number in range(400) for site in sample_sites(sites, HALF, 0, number)]
    # 800 draws over 4 sites: 200 each; 5 standard deviations of a fair choice are 50.
    assert all(150 < turns.count(site) < 250 for site in sites)


def test_never_fewer_than_min_sites_are_asked():
    assert len(sample_sites(["a", "b", "c", "d"], FederationConfig(fraction=0.1, min_sites=3), 0, 1)) == 3


def test_too_few_connected_sites_are_named():
    with pytest.raises(QuorumError, match=r"at least 3 sites.*got 2: a, b"):
        sample_sites(["b", "a"], FederationConfig(min_sites=3), 0, 1)
    with pytest.raises(QuorumError, match=r"and c \(federation.mandatory\), got 2: a, b"):
        sample_sites(["b", "a"], FederationConfig(mandatory=["c", "a"]), 0, 1)


def test_mandatory_sites_are_asked_in_every_round_and_the_others_share_the_rest():
    sites = [f"s{index}" for index in range(8)]
    config = FederationConfig(fraction=0.5, mandatory=["s7", "s2"])
    chosen = [sample_sites(sites, config, 0, number) for number in range(60)]
    assert all({"s2", "s7"} <= set(names) and len(names) == 4 for names in chosen)
    assert {site for names in chosen for site in names} == set(sites)
    many = FederationConfig(fraction=0.1, mandatory=sites[:5])
    assert sample_sites(sites, many, 0, 1) == tuple(sites[:5])


def test_weights_by_examples_words_one_or_capped():
    plain = [FederationConfig(weighting=Weighting(name)) for name in ("examples", "words", "uniform")]
    assert [weigh(GOOD, config) for config in plain] == [4.0, 30.0, 1.0]
    capped = [FederationConfig(weighting=Weighting.capped, weight_cap=cap) for cap in (3, 5)]
    assert [weigh(GOOD, config) for config in capped] == [3.0, 4.0]


@pytest.mark.parametrize("given", [{"weight_cap": 5.0}, {"weighting": Weighting.capped}])
def test_a_cap_belongs_to_capped_weights_and_to_no_others(given: dict):
    with pytest.raises(ConfigError, match=r"federation\.weight_cap"):
        FederationConfig(**given)


BROKEN = {**GLOBAL, "b": np.array([0, np.nan, 0], dtype=np.float32)}


@pytest.mark.parametrize(
    ("sent", "found", "told"),
    [
        (GLOBAL, {}, "reply, control variate: tensor names differ"),
        ({}, GLOBAL, "reply, control variate: tensor names differ"),
        (GLOBAL, {**GLOBAL, "b": GLOBAL["b"][:2]}, "reply, control variate: tensor 'b' expected float32[3]"),
        (GLOBAL, BROKEN, "reply, control variate: tensor 'b' is not finite"),
    ],
)
def test_a_control_variate_comes_back_as_it_was_sent_or_the_reply_is_refused(sent, found, told: str):
    sent, found = ({CONTROL: state} if state else {} for state in (sent, found))
    refusal = validate_update(replace(GOOD, auxiliary=found), replace(REQUEST, auxiliary=sent), LIMITS)
    assert isinstance(refusal, Refusal)
    assert told in str(refusal)


def test_a_reply_with_a_good_control_variate_counts():
    reply, request = replace(GOOD, auxiliary={CONTROL: GLOBAL}), replace(REQUEST, auxiliary={CONTROL: GLOBAL})
    assert validate_update(reply, request, LIMITS) == pytest.approx(math.sqrt(7))


def test_a_good_reply_counts_with_the_norm_of_its_update():
    assert validate_update(GOOD, REQUEST, LIMITS) == pytest.approx(math.sqrt(7))  # seven numbers, each one further


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (replace(GOOD, header=replace(SENT, contract="d" * 64)), "label contract dddddddddddd is not"),
        (replace(GOOD, header=replace(SENT, round=1)), "round 2, got one of round 1"),
        (replace(GOOD, header=replace(SENT, run="other")), "run 'r', got one of 'other'"),
        (replace(GOOD, started_from="6" * 64), "state: expected training from state 555555555555, got one from 6666"),
        (replace(GOOD, num_examples=0), "at least 1 training sentence"),
        (replace(GOOD, num_examples=40), "expected at most 4 sentences of this site in a round"),
        (replace(GOOD, steps=31), "a word for every step, got 4 sentences, 30 words, 31 steps"),
        (
            replace(GOOD, arrays={name: array + 2 for name, array in GLOBAL.items()}),
            "norm 5 or less after 1 steps (federation.max_update_norm), got 5.29",
        ),
        (replace(GOOD, steps=0), "got 4 sentences, 30 words, 0 steps"),
        (replace(GOOD, loss_sum=math.nan), "loss is not finite"),
        (replace(GOOD, arrays={"a": GLOBAL["a"]}), r"missing ['b']"),
        (replace(GOOD, arrays={"b": GLOBAL["b"], "a": GLOBAL["a"]}), "names differ"),
        (
            replace(GOOD, arrays={**GLOBAL, "b": np.zeros(4, dtype=np.float32)}),
            "'b' expected float32[3], got float32[4]",
        ),
        (replace(GOOD, arrays={**GLOBAL, "b": np.array([1, np.nan, 2], np.float32)}), "tensor 'b' is not finite"),
        (replace(GOOD, arrays={**GLOBAL, "a": np.full((2, 2), np.inf, np.float32)}), "tensor 'a' is not finite"),
    ],
)
def test_a_bad_reply_is_refused_with_its_reason(reply: TrainReply, told: str):
    refusal = validate_update(reply, REQUEST, LIMITS)
    assert isinstance(refusal, Refusal)
    assert told in str(refusal)


@given(
    values=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=40),
    before=st.floats(-10, 10, width=32),
)
def test_the_norm_is_that_of_all_tensors_in_one_vector(values: list[float], before: float):
    flat = np.array(values, dtype=np.float32)
    arrays = {"a": flat[: len(flat) // 2], "b": flat[len(flat) // 2 :].reshape(-1, 1)}
    origin = {name: np.full_like(array, before) for name, array in arrays.items()}
    assert norm_of(arrays) == pytest.approx(np.linalg.norm(flat.astype(np.float64)), rel=1e-6)
    assert norm_of(arrays, origin) == pytest.approx(np.linalg.norm((flat - np.float32(before)).astype(np.float64)))


def test_a_large_tensor_is_summed_whole():
    ones = np.ones((300, 1000), dtype=np.float32)
    assert norm_of({"a": ones}, {"a": -ones}) == pytest.approx(2 * math.sqrt(300_000))


def test_no_update_of_adamw_goes_further_than_its_reach():
    training = TrainingConfig(lr=0.1, weight_decay=0.1)
    weights = torch.nn.Parameter(torch.linspace(-3, 3, 50))
    optimizer = torch.optim.AdamW([weights], lr=training.lr, weight_decay=training.weight_decay)
    before = weights.detach().numpy().copy()
    reach, generator = max_step_norm(training, {"w": before}), torch.Generator().manual_seed(0)
    for step in range(1, 40):
        # Long silence, then a jolt: the severest case of Kingma & Ba, section 2.1.
        jolt = step % 13 == 0
        weights.grad = torch.ones(50) if jolt else 1e-6 * torch.randn(50, generator=generator)
        optimizer.step()
        assert norm_of({"w": weights.detach().numpy()}, {"w": before}) <= reach * step


@pytest.mark.parametrize(("scale", "counts"), [(2.0, True), (2.04, False), (1e6, False)])
def test_a_control_variate_moves_by_no_more_than_twice_the_norm_that_gradients_are_clipped_to(
    scale: float, counts: bool
):
    one = {name: array + 1 / math.sqrt(7) for name, array in GLOBAL.items()}  # of norm 1
    request = replace(REQUEST, auxiliary={CONTROL: GLOBAL})
    reply = replace(GOOD, auxiliary={CONTROL: {name: np.float32(scale) * array for name, array in one.items()}})
    most = AUXILIARIES[CONTROL].max_norm
    found = validate_update(reply, request, replace(LIMITS, auxiliary={CONTROL: most(TrainingConfig(max_grad_norm=1))}))
    assert (not isinstance(found, Refusal)) is counts
    if isinstance(found, Refusal):
        assert found.code == "implausible"
        assert "training.max_grad_norm" in found.sentence
    unclipped = replace(LIMITS, auxiliary={CONTROL: most(TrainingConfig(max_grad_norm=None))})
    assert not isinstance(validate_update(reply, request, unclipped), Refusal)


def rounds_with(*told: dict) -> list[RoundRecord]:
    return [RoundRecord(round=number, dev=None, seconds=1.0, **entry) for number, entry in enumerate(told, start=1)]


def test_what_is_typical_follows_the_median_of_the_last_rounds():
    norms = [100.0, 3.0, 2.0, 50.0, 2.5, 2.2]
    rounds = rounds_with(*({"update_norm": norm, "update_steps": 40.0} for norm in norms))
    assert typical_update(rounds) == TypicalUpdate(norm=2.5, steps=40.0)  # of 3, 2, 50, 2.5, 2.2
    assert typical_update([]) is None


@pytest.mark.parametrize(
    ("steps", "most"),
    [(40, 20.0), (80, 40.0), (4000, 2000.0), (10, 10.0)],  # a large site may go straight on, a small one less far
)
def test_the_bound_grows_with_the_steps_of_a_site(steps: int, most: float):
    typical = TypicalUpdate(norm=2.0, steps=40.0)
    assert typical.bound(steps, 10) == pytest.approx(most)
    assert Limits(examples=1, step_norm=1e9, typical=typical, factor=10).norm(steps) == pytest.approx(most)
    assert Limits(examples=1, step_norm=0.1, typical=typical, factor=10).norm(steps) == pytest.approx(
        min(most, steps / 10)
    )
    assert Limits(examples=1, step_norm=0.1, typical=None, factor=10).norm(steps) == pytest.approx(steps / 10)
    assert Limits(examples=1, step_norm=0.1, typical=typical, factor=None).norm(steps) == math.inf


def test_a_site_is_suspended_after_refusals_in_a_row():
    diverged = Refusal(RefusalCode.diverged, "x", Origin.server, "train")
    labels = Refusal(RefusalCode.labels, "x", Origin.server, "dev")
    bad, good = {"sites": ("b",), "refused": {"a": diverged}}, {"sites": ("a", "b")}
    assert suspended(rounds_with(bad, bad, good, bad, bad), 3) == {}
    assert suspended(rounds_with(good, bad, bad, bad), 3) == {"a": diverged}
    # Not asked in the meantime, which forgives nothing; refused in scoring only, which counts for nothing.
    assert suspended(rounds_with(bad, bad, {"sites": ("b",)}, bad), 3) == {"a": diverged}
    assert suspended(rounds_with(*[{"sites": ("a",), "refused": {"a": labels}}] * 5), 1) == {}
    assert suspended(rounds_with(bad, bad, bad), None) == {}


@pytest.mark.parametrize(
    "reason",
    [
        no_reply(RefusalCode.silent, "no reply"),
        no_reply(RefusalCode.process_failed, "the process failed"),
        Refusal(RefusalCode.policy_hours, "not at this hour"),
    ],
)
def test_a_site_that_went_away_may_come_back(reason: Refusal):
    assert suspended(rounds_with(*[{"sites": ("b",), "refused": {"a": reason}}] * 9), 3) == {}


@pytest.mark.parametrize(
    ("dev", "patience", "stops"),
    [([5, 4, 3], 2, True), ([5, 4, 3], 3, False), ([3, 4, 5], 1, False), ([5, 5, 5], 2, True), ([5, 1], None, False)],
)
def test_patience_counts_rounds_since_the_best(dev: list[int], patience: int | None, stops: bool):
    contract = LabelContract("people", 1, (EntityType("PER", "A person"),))
    scores = [score(Counts((hits,), (9 - hits,), (9 - hits,)), contract) for hits in dev]
    rounds = [RoundRecord(round=number, dev=dev, seconds=1.0) for number, dev in enumerate(scores, start=1)]
    assert should_stop(rounds, patience) is stops


@pytest.mark.parametrize(
    ("training", "most"),
    [
        (TrainingConfig(epochs=1), 20),
        (TrainingConfig(epochs=3), 60),
        (TrainingConfig(epochs=0.5), 40),  # may end one pass and begin the next
        (TrainingConfig(steps=3, gradient_accumulation=2, batch_size=4), 24),
    ],
)
def test_what_a_site_of_twenty_sentences_can_pass_through_training(training: TrainingConfig, most: int):
    assert most_examples(20, training) == most


DECLARED = {"a": 60, "b": 30, "c": 10}


@pytest.mark.parametrize(
    ("counted", "config", "told"),
    [
        (
            {"a"},
            FederationConfig(min_sites=2),
            r"round 4: expected at least 2 usable replies .*got 1 \(b: empty: y; c: empty: x\)",
        ),
        ({"b", "c"}, FederationConfig(min_share=0.5), r"expected 50% of all training sentences .*got 40%"),
        ({"b", "c"}, FederationConfig(mandatory=["a", "b"]), r"expected a usable reply of a \(federation.mandatory\)"),
    ],
)
def test_a_missed_quorum_says_what_is_missing_and_why(counted: set[str], config: FederationConfig, told: str):
    refused = {"c": unusable(RefusalCode.empty, "x"), "b": unusable(RefusalCode.empty, "y")}
    with pytest.raises(QuorumError, match=told) as missed:
        require_quorum(4, counted, DECLARED, config, refused)
    assert missed.value.refused == refused


def test_a_met_quorum_raises_nothing():
    config = FederationConfig(min_sites=2, min_share=0.7, mandatory=["c"])
    require_quorum(1, {"a", "c"}, DECLARED, config, {"b": no_reply(RefusalCode.silent, "x")})
