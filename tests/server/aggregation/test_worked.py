"""Every aggregation on numbers small enough to check by hand; the sum is beside each expected value."""

import numpy as np
import pytest

from fedner.config import (
    AggregationConfig,
    BulyanAggregation,
    FedAdagradAggregation,
    FedAdamAggregation,
    FedAvgAggregation,
    FedAvgMAggregation,
    FedDynAggregation,
    FedNovaAggregation,
    FedYogiAggregation,
    KrumAggregation,
    MedianAggregation,
    TrimmedMeanAggregation,
)
from fedner.protocol.auxiliary import CONTROL
from fedner.server.aggregation import Update, init, step
from fedner.tensors import State


def one_number(value: float) -> State:
    return {"w": np.array([value], dtype=np.float32)}


def one_round(config: AggregationConfig, values: list[float], weights: list[float] | None = None) -> float:
    """Aggregate one number per site from 0; sites are named in the order given."""
    pairs = zip(values, weights or [1.0] * len(values), strict=True)
    updates = [Update(f"site-{index}", one_number(value), weight) for index, (value, weight) in enumerate(pairs)]
    _, after = step(config, init(config, one_number(0.0)), one_number(0.0), updates)
    return float(after["w"][0])


def course(config: AggregationConfig, means: list[float]) -> list[float]:
    """Return the global number after each round, starting from 0, when the sites' mean in round i is `means[i]`."""
    arrays = one_number(0.0)
    state = init(config, arrays)
    values: list[float] = []
    for mean in means:
        state, arrays = step(config, state, arrays, [Update("only", one_number(mean), 3.0)])
        values.append(float(arrays["w"][0]))
    return values


def test_fedavg_weighs_by_examples() -> None:
    # (1 x 1 + 3 x 2) / (1 + 3) = 7 / 4
    assert one_round(FedAvgAggregation(), [1.0, 2.0], [1.0, 3.0]) == 1.75


def test_fednova_does_not_let_a_site_weigh_more_for_its_steps() -> None:
    # Both sites moved by 1, with n = 1, 3 examples in t = 1, 3 steps; p = 1/4, 3/4.
    # sum p t = 1/4 + 9/4 = 5/2; sum p y / t = 1/4 x 1 + 3/4 x 1/3 = 1/2; x = 5/2 x 1/2 = 5/4. (FedAvg: 1.)
    updates = [Update("a", one_number(1.0), 1.0, steps=1), Update("b", one_number(1.0), 3.0, steps=3)]
    start = one_number(0.0)
    _, after = step(FedNovaAggregation(), init(FedNovaAggregation(), start), start, updates)
    assert after["w"] == [1.25]


def test_fednova_with_equal_steps_is_fedavg() -> None:
    start = one_number(2.0)
    updates = [Update("a", one_number(3.0), 1.0, steps=4), Update("b", one_number(7.0), 3.0, steps=4)]
    afters = [
        step(config, init(config, start), start, updates)[1]["w"]
        for config in (FedNovaAggregation(), FedAvgAggregation())
    ]
    assert afters[0] == afters[1] == [6.0]


def test_feddyn_goes_beyond_the_mean_by_what_was_left_over() -> None:
    # Two sites in all. Round 1, both count: y = (1 + 3) / 2 = 2, u = 0 - 2/2 x (2 - 0) = -2, x = 2 + 2 = 4.
    # Round 2, one counts: y = 6, u = -2 - 1/2 x (6 - 4) = -3, x = 6 + 3 = 9.
    config, x = FedDynAggregation(), one_number(0.0)
    state = init(config, x)
    state, x = step(config, state, x, [Update("a", one_number(1.0), 1.0), Update("b", one_number(3.0), 1.0)], 2)
    assert x["w"] == [4.0]
    state, x = step(config, state, x, [Update("a", one_number(6.0), 1.0)], 2)
    assert x["w"] == [9.0]


def test_scaffolds_control_variate_takes_the_mean_change_times_the_share_of_sites() -> None:
    # Two of four sites count, changing by 1 and 3, whatever their examples: c = 0 + 2/4 x 2 = 1.
    # Then one, changing by 4: c = 1 + 1/4 x 4 = 2.
    config, x = FedAvgAggregation(), one_number(0.0)
    state = init(config, x, scaffold=True)
    changed = [
        Update(name, x, weight, auxiliary={CONTROL: one_number(c)})
        for name, weight, c in (("a", 1.0, 1.0), ("b", 9.0, 3.0))
    ]
    state, _ = step(config, state, x, changed, 4)
    assert state.moments[CONTROL]["w"] == [1.0]
    state, _ = step(config, state, x, [Update("c", x, 1.0, auxiliary={CONTROL: one_number(4.0)})], 4)
    assert state.moments[CONTROL]["w"] == [2.0]


def test_fedavgm_carries_half_of_the_last_step_on() -> None:
    # Round 1: D = 1 - 0 = 1, m = 1, x = 0 + 0.5 x 1 = 0.5
    # Round 2: D = 1.5 - 0.5 = 1, m = 0.5 x 1 + 1 = 1.5, x = 0.5 + 0.5 x 1.5 = 1.25
    assert course(FedAvgMAggregation(server_lr=0.5, momentum=0.5), [1.0, 1.5]) == [0.5, 1.25]


def test_fedadam_follows_the_paper_without_bias_correction() -> None:
    # Round 1: D = 1, m = 0.5 x 1 = 0.5, v = 0.25 x 1 = 0.25, step 0.5 / (0.5 + 0.5) = 0.5, x = 0.5
    # (flwr would multiply this step by sqrt(1 - 0.75^2) / (1 - 0.5^2) = 0.882, the factor of a second round.)
    # Round 2: D = 1 - 0.5 = 0.5, m = 0.25 + 0.25 = 0.5, v = 0.75 x 0.25 + 0.25 x 0.25 = 0.25, step again 0.5, x = 1
    config = FedAdamAggregation(server_lr=1.0, beta1=0.5, beta2=0.75, tau=0.5)
    assert course(config, [1.0, 1.0]) == [0.5, 1.0]


def test_fedyogi_lowers_the_second_moment_by_a_share_of_a_small_square() -> None:
    # Round 1: D = 1, m = 0.5, v = 0 - 0.25 x 1 x sign(0 - 1) = 0.25, step 0.5 / (0.5 + 0.5) = 0.5, x = 0.5
    # Round 2: D = 0.25, m = 0.25 + 0.125 = 0.375, D^2 = 0.0625 < v, so v = 0.25 - 0.25 x 0.0625 = 0.234375,
    #          sqrt(v) = 0.484123, step 0.375 / 0.984123 = 0.381050, x = 0.881050
    config = FedYogiAggregation(server_lr=1.0, beta1=0.5, beta2=0.75, tau=0.5)
    assert course(config, [1.0, 0.75]) == pytest.approx([0.5, 0.881050], abs=1e-6)


def test_fedadagrad_sums_squares() -> None:
    # Round 1: D = 1.5, v = 2.25, step 1.5 / (1.5 + 0.5) = 0.75, x = 0.75
    # Round 2: D = 2, v = 2.25 + 4 = 6.25, step 2 / (2.5 + 0.5) = 0.666667, x = 1.416667
    config = FedAdagradAggregation(server_lr=1.0, beta1=0.0, tau=0.5)
    assert course(config, [1.5, 2.75]) == pytest.approx([0.75, 1.416667], abs=1e-6)


def test_fedadagrad_heeds_beta1_as_the_paper_does() -> None:
    # D = 1.5, m = 0.5 x 1.5 = 0.75, v = 2.25, step 0.75 / (1.5 + 0.5) = 0.375; flwr, with beta1 = 0, would take 0.75
    assert course(FedAdagradAggregation(server_lr=1.0, beta1=0.5, tau=0.5), [1.5]) == [0.375]


def test_median_of_three_is_the_middle_one_and_of_four_the_mean_of_the_middle_two() -> None:
    assert one_round(MedianAggregation(), [1.0, 9.0, 2.0]) == 2.0
    assert one_round(MedianAggregation(), [100.0, 1.0, 4.0, 2.0]) == 3.0


@pytest.mark.parametrize(("trim", "expected"), [(0.0, 21.2), (0.2, 2.0), (0.39, 2.0), (0.4, 2.0)])
def test_trimmed_mean_rounds_the_number_cut_down(trim: float, expected: float) -> None:
    # n = 5. Cut int(0) = 0: 106 / 5. Cut int(1.0) = int(1.95) = 1: (1 + 2 + 3) / 3. Cut int(2.0) = 2: the middle, 2.
    result = one_round(TrimmedMeanAggregation(trim=trim), [100.0, 0.0, 3.0, 1.0, 2.0])
    assert result == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(("select", "expected"), [(1, 1.0), (2, 0.5), (3, 1.0)])
def test_krum_prefers_the_crowd_and_multi_krum_averages_without_weights(select: int, expected: float) -> None:
    # n = 5, f = 1: each site's 2 nearest others count. Squared distances of 0, 1, 2, 4, 100:
    #   0: 1 + 4 = 5    1: 1 + 1 = 2    2: 1 + 4 = 5    4: 4 + 9 = 13    100: 96^2 + 98^2
    # 1 wins; 0 and 2 tie and the first site goes first. Means: 1; (1 + 0) / 2; (1 + 0 + 2) / 3.
    # Weighing as flwr does would give (1 + 0 + 9 x 2) / 11 for select = 3.
    values, weights = [0.0, 1.0, 2.0, 4.0, 100.0], [1.0, 1.0, 9.0, 1.0, 1.0]
    assert one_round(KrumAggregation(malicious=1, select=select), values, weights) == expected


def test_krum_leaves_out_the_site_itself_even_among_equal_updates() -> None:
    # n = 5, f = 1, 2 nearest others. 3, 3, 0, 1, 9:  3: 0 + 4 = 4 (twice)   0: 1 + 9 = 10   1: 1 + 4 = 5   9: 36 + 36
    assert one_round(KrumAggregation(malicious=1), [3.0, 3.0, 0.0, 1.0, 9.0]) == 3.0


def test_bulyan_scores_anew_after_every_selection() -> None:
    # n = 7, f = 1: select 7 - 2 = 5, each time with the (left - 3, at least 1) nearest others; then keep 5 - 2 = 3.
    #   left 0 1 2 3 4 5 7, 4 nearest: 30 15 10 10 15 18 54   -> 2 (tie with 3)
    #   left 0 1 3 4 5 7,   3 nearest: 26 14  9 11  9 29      -> 3 (tie with 5)
    #   left 0 1 4 5 7,     2 nearest: 17 10 10  5 13         -> 5
    #   left 0 1 4 7,       1 nearest:  1  1  9  9            -> 0 (tie with 1)
    #   left 1 4 7,         1 nearest:  9  9  9               -> 1
    # Of 0 1 2 3 5 the median is 2, the nearest three 1 2 3, their mean 2.
    # flwr takes the five lowest of the first row, 1 2 3 4 5: median 3, mean 3.
    assert one_round(BulyanAggregation(malicious=1), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0]) == 2.0


def test_bulyan_takes_the_lower_of_two_values_equally_near_the_median() -> None:
    # n = 7, f = 1 as above.
    #   left 0 1 2 3 4 6 7, 4 nearest: 30 15 10 11 15 30 39   -> 2
    #   left 0 1 3 4 6 7,   3 nearest: 26 14 14 14 14 26      -> 1 (tie, the first site)
    #   left 0 3 4 6 7,     2 nearest: 25 10  5  5 10         -> 4 (tie with 6)
    #   left 0 3 6 7,       1 nearest:  9  9  1  1            -> 6 (tie with 7)
    #   left 0 3 7,         1 nearest:  9  9 16               -> 0 (tie with 3)
    # Of 0 1 2 4 6 the median is 2 and the distances are 2 1 0 2 4: of 0 and 4 the lower is kept, (0 + 1 + 2) / 3 = 1.
    assert one_round(BulyanAggregation(malicious=1), [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 7.0]) == 1.0


def test_bulyan_without_malicious_sites_is_the_mean() -> None:
    # f = 0: all are selected and kept, (0 + 1 + 5) / 3 = 2
    assert one_round(BulyanAggregation(malicious=0), [0.0, 1.0, 5.0]) == 2.0
