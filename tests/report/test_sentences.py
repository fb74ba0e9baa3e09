import re
from typing import Any

import pytest

from fedner.metrics import Difference
from fedner.report import parse_study
from fedner.report.sentences import Verdict, judge, summarise

Plain = dict[str, Any]
NOTHING = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "tp": 0, "fp": 0, "fn": 0, "support": 0}
ZERO = {"micro": NOTHING, "macro": {"precision": 0.0, "recall": 0.0, "f1": 0.0}, "types": {}}


def says(plain: Plain) -> str:
    return str(summarise(parse_study(plain)))


def set_difference(plain: Plain, low: float | None, high: float | None) -> Plain:
    plain["differences"]["federated-local"] |= {"low": low, "high": high}
    return plain


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.02, Verdict.gain),
        (-0.02, -0.01, Verdict.loss),
        (-0.01, 0.01, Verdict.unclear),
        (0.0, 0.01, Verdict.unclear),
        (None, None, Verdict.none),
    ],
)
def test_the_interval_alone_decides_the_verdict(low: float | None, high: float | None, verdict: Verdict) -> None:
    assert judge(Difference(0.5, low, high, 0.0001)) is verdict


@pytest.mark.parametrize(
    ("low", "high", "opening"),
    [
        (0.01, 0.1, "Joining paid overall, but not clearly for every site: "),
        (-0.01, 0.1, "It is unclear whether joining paid: "),
        (-0.1, -0.01, "Joining did not pay: "),
        (None, None, "No verdict, for want of an interval: "),
    ],
)
def test_the_headline_says_no_more_than_the_interval(
    comparison: Plain, low: float | None, high: float | None, opening: str
) -> None:
    assert says(set_difference(comparison, low, high)).startswith(opening)


def test_a_comparison_without_differences_gets_no_verdict(comparison: Plain) -> None:
    del comparison["differences"]
    statement = summarise(parse_study(comparison))
    assert statement.verdict is Verdict.none
    assert statement.headline.startswith("No verdict")
    assert "For whom" not in str(statement)


def test_for_whom_names_the_sites_of_each_verdict(comparison: Plain) -> None:
    # conftest: differences of about +0.041, +0.037 and -0.015, each with a margin of 0.03.
    assert says(comparison).startswith("Joining paid overall, but not clearly for every site: ")
    expected = "2 of 3 gained (site-0 and site-1); 1 of 3 unclear (site-2); none clearly lost"
    assert expected in says(comparison)


def test_for_whom_says_all_where_it_is_all(comparison: Plain) -> None:
    comparison["differences"]["per_site"]["site-2"] |= {"low": 0.01, "high": 0.02}
    told = says(comparison)
    assert told.startswith("Joining paid: ")
    assert "own model: all 3 gained; none clearly lost." in told


def test_a_site_that_lost_is_named(comparison: Plain) -> None:
    comparison["differences"]["per_site"]["site-2"] |= {"low": -0.06, "high": -0.01}
    told = says(comparison)
    assert told.startswith("Joining paid overall, but not for every site: ")
    assert "1 of 3 lost (site-2)" in told
    assert "none clearly lost" not in told


def test_of_a_hundred_entities_is_recall_then_precision(single: Plain) -> None:
    micro = single["arms"]["federated"]["seeds"]["0"]["test"]["micro"]
    micro |= {"recall": 0.704, "precision": 0.9996}
    # 99.96 of 100 is not all of them.
    assert "found 70 exactly; of every 100 it marked, 99 were right" in says(single)


def test_synthetic_text_makes_no_claim(comparison: Plain) -> None:
    comparison["config"]["data"]["kind"] = "synthetic"
    statement = summarise(parse_study(comparison))
    assert statement.verdict is Verdict.none
    assert statement.headline.startswith("Synthetic text")
    assert "no claim about quality" in statement.headline
    for claim in ("oining paid", "gained", "closed", "better", "ahead"):
        assert claim not in str(statement)


def test_an_incomplete_comparison_is_preliminary_and_unjudged(incomplete: Plain) -> None:
    statement = summarise(parse_study(incomplete))
    assert statement.headline == "Preliminary: 2 runs are missing, so there is no verdict yet."
    assert statement.verdict is Verdict.none
    assert "Test F1 so far" in str(statement)
    assert "gap" not in str(statement)


def test_one_seed_is_said(one_seed: Plain) -> None:
    told = says(one_seed)
    assert "One seed: how much another training would change these numbers is not known." in told
    assert "gap between training alone and pooling (one seed: no interval)" in told


def test_a_gap_that_is_often_none_has_no_interval_and_says_why(comparison: Plain) -> None:
    comparison["summary"]["gap_closed"] |= {"low": None, "high": None, "undefined_share": 0.12}
    assert "(no interval: in 12% of the resamples there was no gap to close)" in says(comparison)


def test_trainings_in_which_joining_did_not_help_are_counted(comparison: Plain) -> None:
    arms = comparison["arms"]
    assert "2 seeds, the federated model was ahead of training alone in 2 of them." in says(comparison)
    arms["federated"]["seeds"]["1"] = arms["local"]["sites"]["site-0"]["seeds"]["1"] | {"test": ZERO}
    assert "2 seeds, the federated model was ahead of training alone in 1 of them." in says(comparison)


def test_a_single_run_says_nothing_about_joining_or_gaps(single: Plain) -> None:
    told = says(single)
    assert "Whether joining paid is not known" in told
    assert "gap" not in told
    assert "ooling" not in told


def test_where_pooling_is_no_better_there_is_no_gap(comparison: Plain) -> None:
    arms = comparison["arms"]
    arms["centralized"] = arms["local"]["sites"]["site-2"]
    comparison["summary"]["gap_closed"] = {"mean": None, "low": None, "high": None}
    told = says(comparison)
    assert "no better than training alone, so there is no gap" in told
    assert "closed" not in told


def test_unseen_sites_are_said_to_be_scored_apart(comparison: Plain) -> None:
    comparison["data"]["unseen"] = {"site-2": 130}
    assert "site-2 took part in no training and is scored apart." in says(comparison)


def test_arms_without_a_federation_are_no_ground_for_a_verdict(comparison: Plain) -> None:
    del comparison["arms"]["federated"]
    statement = summarise(parse_study(comparison))
    assert statement.verdict is Verdict.none
    assert "no federated run" in statement.headline


def test_sites_that_keep_scores_back_are_named(comparison: Plain) -> None:
    assert "scores back" not in says(comparison)
    run = comparison["arms"]["federated"]["seeds"]["0"]
    run["rounds"][0]["withheld"] = {"site-1": "its policy keeps the counts"}
    run["withheld"] = {"site-0": "its policy keeps the counts of DOSE", "site-1": "its policy keeps the counts"}
    assert "site-1 keeps dev scores back" in says(comparison)
    assert "site-0 and site-1 keep test scores back" in says(comparison)


@pytest.mark.parametrize(
    ("leaked", "left_out", "unchecked", "told"),
    [
        (0, 0, None, "The test set is clean: of its 231 documents none lies in any site's training text, exactly or"),
        (0, 3, None, "exactly or nearly. 3 were left out before."),
        (1, 0, None, "The test set is not clean: of its 231 documents 1 lies in a site's training text"),
        (12, 3, None, "not clean: of its 231 documents 12 lie in .*leaves them out. 3 were left out before."),
        (None, 0, "off", "in training text was not checked: experiment.check_test is off."),
        (None, 0, "no_library", r"was not checked: that needs datasketch, as pip install 'fedner\[audit\]' brings it."),
        (None, 0, "at_sites", "was not checked: the text lies at the sites"),
    ],
)
def test_whether_the_test_set_is_clean_is_said_in_one_sentence(
    comparison: Plain, leaked: int | None, left_out: int, unchecked: str | None, told: str
) -> None:
    assert "test set is" not in says(comparison)
    comparison["data"]["leakage"] = {
        "documents": 231, "left_out": left_out, "leaked": leaked, "unchecked": unchecked, "threshold": 0.8, "shingle": 3
    }  # fmt: skip
    assert re.search(told, says(comparison))
