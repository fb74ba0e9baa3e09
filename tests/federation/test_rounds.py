import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedner.config import Weighting
from fedner.errors import FederationError
from fedner.federation.messages import Header, TrainReply
from fedner.federation.rounds import judge, require_quorum, sample_sites, weigh

SENT = Header(run="r", round=2, seed=0, contract="c" * 64)
GLOBAL = {"a": np.zeros((2, 2), dtype=np.float32), "b": np.zeros(3, dtype=np.float32)}
GOOD = TrainReply(
    header=SENT, arrays={name: array + 1 for name, array in GLOBAL.items()}, num_examples=4, num_words=30,
    loss_sum=2.0, steps=1, seconds=0.1,
)  # fmt: skip


@given(
    names=st.sets(st.text(min_size=1, max_size=5), min_size=1, max_size=12),
    fraction=st.floats(0.01, 1),
    seed=st.integers(0, 99),
)
def test_a_sample_is_sorted_and_of_the_wanted_size_whatever_the_order_of_sites(names, fraction, seed):
    chosen = sample_sites(list(names), fraction, 1, seed, 3)
    assert chosen == tuple(sorted(chosen))
    assert set(chosen) <= names
    assert abs(len(chosen) - fraction * len(names)) <= 0.5 + 1e-9 or len(chosen) == 1
    assert chosen == sample_sites(sorted(names, reverse=True), fraction, 1, seed, 3)


def test_samples_differ_between_rounds_and_seeds():
    sites = [f"site-{index}" for index in range(20)]
    by_round = {sample_sites(sites, 0.5, 1, 0, number) for number in range(1, 6)}
    by_seed = {sample_sites(sites, 0.5, 1, seed, 1) for seed in range(5)}
    assert len(by_round) == 5
    assert len(by_seed) == 5


def test_over_many_rounds_every_site_takes_part_about_equally_often():
    sites = [f"s{index}" for index in range(4)]
    turns = [site for number in range(400) for site in sample_sites(sites, 0.5, 1, 0, number)]
    # 800 draws over 4 sites: 200 each; 5 standard deviations of a fair choice are 50.
    assert all(150 < turns.count(site) < 250 for site in sites)


def test_never_fewer_than_min_sites_are_asked():
    assert len(sample_sites(["a", "b", "c", "d"], 0.1, 3, 0, 1)) == 3


def test_too_few_connected_sites_are_named():
    with pytest.raises(FederationError, match=r"at least 3 sites.*found 2 connected: a, b"):
        sample_sites(["b", "a"], 1.0, 3, 0, 1)


def test_weights_by_examples_words_or_one():
    assert [weigh(GOOD, weighting) for weighting in (Weighting.examples, Weighting.words, Weighting.uniform)] == [
        4.0,
        30.0,
        1.0,
    ]


def test_a_good_reply_counts():
    assert judge(GOOD, SENT, GLOBAL) is None


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (replace(GOOD, header=replace(SENT, contract="d" * 64)), "label contract dddddddddddd is not"),
        (replace(GOOD, header=replace(SENT, round=1)), "round 2, found one of round 1"),
        (replace(GOOD, header=replace(SENT, run="other")), "run 'r', found one of 'other'"),
        (replace(GOOD, num_examples=0), "at least 1 training sentence"),
        (replace(GOOD, loss_sum=math.nan), "loss is not finite"),
        (replace(GOOD, arrays={"a": GLOBAL["a"]}), r"missing ['b']"),
        (replace(GOOD, arrays={"b": GLOBAL["b"], "a": GLOBAL["a"]}), "names differ"),
        (
            replace(GOOD, arrays={**GLOBAL, "b": np.zeros(4, dtype=np.float32)}),
            "'b' wanted float32[3], found float32[4]",
        ),
        (replace(GOOD, arrays={**GLOBAL, "b": np.array([1, np.nan, 2], np.float32)}), "tensor 'b' is not finite"),
        (replace(GOOD, arrays={**GLOBAL, "a": np.full((2, 2), np.inf, np.float32)}), "tensor 'a' is not finite"),
    ],
)
def test_a_bad_reply_is_refused_with_its_reason(reply: TrainReply, told: str):
    assert told in str(judge(reply, SENT, GLOBAL))


def test_a_missed_quorum_names_the_refused_sites():
    require_quorum(1, 2, 2, {})
    with pytest.raises(FederationError, match=r"round 4: wanted at least 2.*found 1 \(a: x; b: y\)"):
        require_quorum(4, 1, 2, {"b": "y", "a": "x"})
