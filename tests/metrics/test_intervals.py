"""Intervals and tests against scipy and against cases whose distribution is known in closed form."""

import json

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from fedner.errors import RunError
from fedner.metrics import (
    DocumentCounts,
    Interval,
    Summary,
    arm_interval,
    bootstrap,
    gap_closed_interval,
    local_interval,
    paired_bootstrap,
)


def of_hits(hits: list[int], per_document: int = 1) -> DocumentCounts:
    """Return counts of one type where each document has `per_document` gold entities and as many predicted ones.

    Then fp = fn = per_document - tp, so F1 = tp / gold: the share of hits, whose bootstrap is plain to work out.
    """
    counts = [[hit, per_document - hit, per_document - hit] for hit in hits]
    return np.array(counts, dtype=np.int64).reshape(len(hits), 1, 3)


def random_counts(seed: int, documents: int = 60, types: int = 3, high: int = 6) -> DocumentCounts:
    return np.random.default_rng(seed).integers(high, size=(documents, types, 3))


def worse(counts: DocumentCounts, seed: int, share: float) -> DocumentCounts:
    """Return counts in which a random share of the hits has become misses."""
    lost = np.random.default_rng(seed).binomial(counts[..., 0], share)
    return counts + np.stack([-lost, np.zeros_like(lost), lost], axis=-1)


def f1(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, axis: int = -1) -> np.ndarray:
    tp, fp, fn = tp.sum(axis=axis), fp.sum(axis=axis), fn.sum(axis=axis)
    return 2 * tp / (2 * tp + fp + fn)


def columns(counts: DocumentCounts) -> tuple[np.ndarray, ...]:
    """Return micro tp, fp and fn of each document, each of shape (documents,)."""
    return tuple(counts.sum(axis=1).T)


def test_interval_is_that_of_the_binomial_distribution() -> None:
    # 30 hits in 40 documents: the resampled number of hits is Binomial(40, 0.75).
    result = bootstrap(of_hits([1] * 30 + [0] * 10), confidence=0.9, samples=20_000).micro
    assert result.mean == 0.75
    wanted = scipy.stats.binom.ppf([0.05, 0.95], 40, 0.75) / 40
    assert [result.low, result.high] == pytest.approx(wanted, abs=1 / 40 + 1e-9)


def test_interval_is_scipys_percentile_interval() -> None:
    counts = random_counts(0)
    result = bootstrap(counts, confidence=0.95, samples=10_000, seed=3)
    oracle = {"paired": True, "method": "percentile", "n_resamples": 10_000, "rng": 1}
    wanted = scipy.stats.bootstrap(columns(counts), f1, **oracle).confidence_interval
    assert [result.micro.low, result.micro.high] == pytest.approx([wanted.low, wanted.high], abs=0.005)
    for index, interval in enumerate(result.types):
        wanted = scipy.stats.bootstrap(tuple(counts[:, index].T), f1, **oracle).confidence_interval
        assert [interval.low, interval.high] == pytest.approx([wanted.low, wanted.high], abs=0.005)


def test_documents_all_alike_leave_no_doubt() -> None:
    # 2 hits, 1 wrong, 1 missed in every document: F1 = 4 / 6.
    counts = np.tile(np.array([[2, 1, 1]]), (10, 1, 1))
    assert bootstrap(counts).micro == Interval(*[pytest.approx(2 / 3)] * 3)


def test_intervals_are_seeded() -> None:
    counts = random_counts(0)
    assert bootstrap(counts, seed=1) == bootstrap(counts, seed=1)
    assert bootstrap(counts, seed=1) != bootstrap(counts, seed=2)


def test_wider_confidence_is_a_wider_interval() -> None:
    counts = random_counts(0)
    narrow, wide = (bootstrap(counts, confidence=confidence).micro for confidence in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high


def test_a_rare_type_is_not_scored_zero_where_it_is_not_drawn() -> None:
    # The second type is in one document of ten, found there; a third of all resamples lack that document.
    counts = np.zeros((10, 2, 3), dtype=np.int64)
    counts[:, 0, 0] = 1
    counts[4, 1, 0] = 1
    assert bootstrap(counts).types[1] == Interval(1.0, 1.0, 1.0)


def test_a_type_that_never_occurs_has_no_interval() -> None:
    counts = np.zeros((10, 2, 3), dtype=np.int64)
    counts[:, 0, 0] = 1
    assert bootstrap(counts).types[1] == Interval(0.0, None, None)


@pytest.mark.parametrize("documents", [0, 1])
def test_fewer_than_two_documents_have_no_interval(documents: int) -> None:
    counts = of_hits([1] * documents)
    assert bootstrap(counts).micro == Interval(float(documents), None, None)
    difference = paired_bootstrap(counts, counts)
    assert (difference.low, difference.high, difference.p_value) == (None, None, None)


def test_paired_difference_has_the_p_value_of_the_binomial_distribution() -> None:
    # a finds all of 40, b all but 3, so the difference is 3/40 and in a resample Binomial(40, 3/40) / 40. It strays by
    # 3/40 or more from 3/40 if it is 0, or 6 or more, out of 40.
    samples = 20_000
    result = paired_bootstrap(of_hits([1] * 40), of_hits([1] * 37 + [0] * 3), samples=samples)
    assert result.delta == pytest.approx(3 / 40)
    law = scipy.stats.binom(40, 3 / 40)
    assert result.p_value == pytest.approx(law.pmf(0) + law.sf(5), abs=0.02)


def test_paired_interval_is_scipys() -> None:
    b = random_counts(0)
    a = worse(b, 1, 0.2)
    result = paired_bootstrap(a, b, samples=10_000)
    wanted = scipy.stats.bootstrap(
        (*columns(a), *columns(b)),
        lambda *x, axis=-1: f1(*x[:3], axis=axis) - f1(*x[3:], axis=axis),
        paired=True,
        method="percentile",
        n_resamples=10_000,
        rng=1,
    ).confidence_interval
    assert [result.low, result.high] == pytest.approx([wanted.low, wanted.high], abs=0.005)
    assert result.delta == pytest.approx(f1(*columns(a)) - f1(*columns(b)))
    assert result.p_value is not None
    assert result.p_value < 0.01


def test_pairing_removes_what_documents_have_in_common() -> None:
    # Both arms share hard documents; b misses one entity more in every document, so the difference never varies.
    a = of_hits([9, 1] * 20, per_document=10)
    b = of_hits([8, 0] * 20, per_document=10)
    result = paired_bootstrap(a, b)
    assert [result.delta, result.low, result.high] == pytest.approx([0.1] * 3)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.integers(0, 1000))
def test_swapping_the_arms_turns_the_sign_and_nothing_else(first: int, second: int) -> None:
    a, b = random_counts(first), random_counts(second)
    there, back = (paired_bootstrap(*pair, samples=200) for pair in ((a, b), (b, a)))
    assert there.p_value == back.p_value
    assert there.delta == -back.delta
    assert [there.low, there.high] == pytest.approx([-back.high, -back.low])


def test_an_arm_does_not_differ_from_itself() -> None:
    counts = random_counts(0)
    result = paired_bootstrap(counts, counts)
    assert (result.delta, result.low, result.high, result.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_chance_differences_are_rarely_significant() -> None:
    # Two arms of equal skill; at the 5 % level about 1 comparison in 20 errs, 12 of 100 has a probability below 0.005.
    rng = np.random.default_rng(0)
    arms = [[of_hits(rng.binomial(10, 0.8, size=50).tolist(), 10) for _ in range(2)] for _ in range(100)]
    p_values = [paired_bootstrap(a, b, samples=200).p_value for a, b in arms]
    assert sum(p is not None and p <= 0.05 for p in p_values) < 12


def test_several_seeds_are_compared_by_their_means() -> None:
    a, b = [of_hits([hits] * 5, 4) for hits in (4, 2)], [of_hits([hits] * 5, 4) for hits in (2, 2)]
    # Means 3/4 and 2/4.
    result = paired_bootstrap(a, b)
    assert [result.delta, result.low, result.high] == pytest.approx([0.25] * 3)


def test_an_arm_with_one_seed_has_the_interval_of_its_run() -> None:
    counts = random_counts(0)
    micro = bootstrap(counts, seed=5).micro
    assert arm_interval([counts], seed=5) == Summary(*map(pytest.approx, (micro.mean, micro.low, micro.high)), seeds=1)


def test_documents_are_drawn_once_for_all_seeds() -> None:
    counts = random_counts(0)
    one, three = arm_interval([counts]), arm_interval([counts] * 3)
    assert [three.mean, three.low, three.high] == pytest.approx([one.mean, one.low, one.high])
    assert three.seeds == 3


def test_resampling_seeds_adds_their_spread() -> None:
    # Documents all alike, so only seeds vary: F1 1/4 and 3/4. Drawn with replacement both are the first one time in
    # four, and both the second as often.
    runs = [of_hits([hits] * 10, per_document=4) for hits in (1, 3)]
    fixed = arm_interval(runs, resample_seeds=False)
    assert [fixed.mean, fixed.low, fixed.high] == pytest.approx([0.5] * 3)
    drawn = arm_interval(runs)
    assert [drawn.mean, drawn.low, drawn.high] == pytest.approx([0.5, 0.25, 0.75])


def test_the_local_arm_is_the_mean_over_sites() -> None:
    sites = [[of_hits([hits] * 10, per_document=4) for hits in seeds] for seeds in ((1, 2), (4, 3))]
    # Site means 1.5/4 and 3.5/4; either seed drawn twice gives (1 + 4) / 8 or (2 + 3) / 8, the same.
    result = local_interval(sites)
    assert [result.mean, result.low, result.high] == pytest.approx([0.625] * 3)
    assert result.seeds == 2


def test_gap_closed_worked_by_hand() -> None:
    centralized, federated, *local = ([of_hits([hits] * 8, per_document=4)] * 2 for hits in (4, 3, 2, 1))
    # (3/4 - 3/8) / (4/4 - 3/8) = 3/5, the local arm being the mean of 2/4 and 1/4.
    result = gap_closed_interval(centralized, federated, local)
    assert [result.mean, result.low, result.high] == pytest.approx([0.6] * 3)
    assert result.undefined_share == 0


def test_gap_closed_is_scipys_paired_bootstrap_of_the_ratio() -> None:
    centralized = random_counts(0, documents=100) + np.array([8, 0, 0])
    federated, local = worse(centralized, 1, 0.1), worse(centralized, 2, 0.4)
    result = gap_closed_interval([centralized], [federated], [[local]], samples=10_000)

    def ratio(*x: np.ndarray, axis: int = -1) -> np.ndarray:
        pooled, joined, alone = (f1(*x[start : start + 3], axis=axis) for start in (0, 3, 6))
        return (joined - alone) / (pooled - alone)

    data = (*columns(centralized), *columns(federated), *columns(local))
    wanted = scipy.stats.bootstrap(data, ratio, paired=True, method="percentile", n_resamples=10_000, rng=1)
    assert result.mean == pytest.approx(float(ratio(*data)))
    interval = wanted.confidence_interval
    assert [result.low, result.high] == pytest.approx([interval.low, interval.high], abs=0.005)


def test_a_federation_equal_to_pooling_closes_the_gap_and_one_equal_to_local_none_of_it() -> None:
    seeds = [random_counts(seed) + np.array([5, 0, 0]) for seed in range(3)]
    alone = [worse(counts, 9, 0.5) for counts in seeds]
    for federated, share in ((seeds, 1.0), (alone, 0.0)):
        result = gap_closed_interval(seeds, federated, [alone])
        assert [result.mean, result.low, result.high] == pytest.approx([share] * 3)


def test_there_is_no_gap_to_close_where_local_is_as_good() -> None:
    runs = [of_hits([1] * 5 + [0] * 5)]
    result = gap_closed_interval(runs, runs, [runs])
    assert (result.mean, result.low, result.high, result.undefined_share) == (None, None, None, 1.0)


@pytest.mark.parametrize(("missed", "has_interval"), [(1, False), (5, True)])
def test_a_gap_that_vanishes_in_many_resamples_has_no_interval(missed: int, has_interval: bool) -> None:
    # Local misses entities of `missed` documents in 20; none of those is drawn with probability (1 - missed/20)**20:
    # 0.358 for one, 0.003 for five.
    pooled, alone = [of_hits([1] * 20)], [of_hits([0] * missed + [1] * (20 - missed))]
    result = gap_closed_interval(pooled, pooled, [alone], samples=5000)
    assert result.undefined_share == pytest.approx((1 - missed / 20) ** 20, abs=0.03)
    assert result.mean == pytest.approx(1.0)
    assert [result.low, result.high] == ([pytest.approx(1.0)] * 2 if has_interval else [None, None])


def test_different_documents_or_seeds_are_refused() -> None:
    ten, nine = random_counts(0, documents=10), random_counts(0, documents=9)
    with pytest.raises(RunError, match="same test documents in every arm, got 9, 10"):
        paired_bootstrap(ten, nine)
    with pytest.raises(RunError, match="same test documents in every run, got 9, 10"):
        arm_interval([ten, nine])
    with pytest.raises(RunError, match="same test documents in every arm"):
        gap_closed_interval([ten], [ten], [[nine]])
    with pytest.raises(RunError, match="as many seeds in every arm, got 2, 1, 1"):
        gap_closed_interval([ten, ten], [ten], [[ten]])
    with pytest.raises(RunError, match=r"as many for each site, got \[1, 2\]"):
        local_interval([[ten], [ten, ten]])
    with pytest.raises(RunError, match="one run or more"):
        arm_interval([])


def test_summaries_are_plain_json() -> None:
    runs = [random_counts(seed) for seed in range(2)]
    assert list(json.loads(json.dumps(arm_interval(runs).to_json()))) == ["mean", "low", "high", "seeds"]
    gap = gap_closed_interval(runs, runs, [runs]).to_json()
    assert json.loads(json.dumps(gap)) == {"mean": None, "low": None, "high": None, "undefined_share": 1.0}
