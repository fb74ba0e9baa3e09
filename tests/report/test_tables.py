from typing import Any

import pytest

from fedner.report import parse_study, tables, wording
from fedner.report.averages import dev_curves, mean_curve, on_site, sites_of
from fedner.report.study import Interval
from fedner.report.tables import Table

Plain = dict[str, Any]


def texts(table: Table, row: int) -> list[str]:
    return [cell.text for cell in table.rows[row].cells]


def named(table: Table, name: str) -> list[str]:
    return next(texts(table, index) for index, row in enumerate(table.rows) if row.cells[0].text == name)


def test_an_arm_is_the_mean_over_its_seeds(comparison: Plain) -> None:
    # Federated, skill 0.84 less 0.02 per type; seed 1 finds one entity fewer of each type at each site, of 1050 in all.
    # Found: site-0 252 + 98 + 72, site-1 50 + 197 + 88, site-2 34 + 25 + 48; as many are wrong as are missed.
    first, second = 864 / 1050, 855 / 1050
    assert named(tables.arms_table(parse_study(comparison)), "Federated")[1] == f"{(first + second) / 2:.3f}"


def test_the_local_arm_is_the_mean_over_sites_and_seeds(comparison: Plain) -> None:
    runs = [run for arm in comparison["arms"]["local"]["sites"].values() for run in arm["seeds"].values()]
    mean = sum(run["test"]["micro"]["f1"] for run in runs) / 6
    assert named(tables.arms_table(parse_study(comparison)), "Each site alone")[1] == f"{mean:.3f}"


def test_the_range_over_seeds_is_from_the_lowest_to_the_highest(comparison: Plain) -> None:
    # 855 and 864 of 1050, as above.
    assert named(tables.arms_table(parse_study(comparison)), "Federated")[3] == "0.814 to 0.823"


def test_one_seed_has_no_range_over_seeds_and_says_so(one_seed: Plain) -> None:
    table = tables.arms_table(parse_study(one_seed))
    assert "one seed" in table.caption
    assert "Range over seeds" not in [column.title for column in table.columns]
    assert [row.cells[-1].text for row in table.rows] == ["1", "1", "1"]


def test_a_site_is_compared_on_its_own_text_with_its_own_model(comparison: Plain) -> None:
    local = comparison["arms"]["local"]["sites"]["site-2"]["seeds"]
    own = sum(local[seed]["sites"]["site-2"]["micro"]["f1"] for seed in ("0", "1")) / 2
    row = named(tables.sites_table(parse_study(comparison)), "site-2")
    assert row[1] == "130"
    assert row[2] == f"{own:.3f}"
    assert row[-1] == "unclear"


def test_synthetic_text_bears_no_claim_for_any_site(comparison: Plain) -> None:
    comparison["config"]["data"]["kind"] = "synthetic"
    table = tables.sites_table(parse_study(comparison))
    assert {row.cells[-1].text for row in table.rows} == {"no claim"}
    assert {row.tone for row in table.rows} == {"verdict-none"}


def test_what_the_encoder_cannot_see_is_told(comparison: Plain) -> None:
    told = {"sentences": 9, "words": 4000, "pieces": 5500, "windows": 12, "cut_sentences": 3, "truncated_words": 2}
    comparison["data"]["encoding"] = {"test": told | {"unknown_words": 1234, "empty_words": 1}}
    study = parse_study(comparison)
    assert named(tables.encoding_table(study), "test") == ["test", "5,500", "12", "3", "2", "1,234", "1"]


def test_an_unseen_site_comes_last_and_gets_the_mean_of_all_local_models(comparison: Plain) -> None:
    comparison["data"]["unseen"] = {"site-0": 510}
    local = comparison["arms"]["local"]["sites"]
    del local["site-0"], comparison["differences"]["per_site"]["site-0"]
    runs = [run for arm in local.values() for run in arm["seeds"].values()]
    mean = sum(run["sites"]["site-0"]["micro"]["f1"] for run in runs) / 4
    table = tables.sites_table(parse_study(comparison))
    assert [row.cells[0].text for row in table.rows] == ["site-1", "site-2", "site-0"]
    assert texts(table, 2)[2] == f"{mean:.3f}"
    assert texts(table, 2)[-2:] == [wording.ABSENT, wording.ABSENT]


def test_a_type_without_entities_in_the_test_text_has_no_score(comparison: Plain) -> None:
    nothing = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "tp": 0, "fp": 0, "fn": 0, "support": 0}
    for run in comparison["arms"]["federated"]["seeds"].values():
        run["test"]["types"]["ORG"] = nothing
    cell = next(row for row in tables.types_table(parse_study(comparison)).rows if row.cells[0].text == "ORG").cells[3]
    assert (cell.text, cell.detail) == (wording.ABSENT, "none in test text")


def test_costs_of_the_local_arm_are_those_of_all_sites_together(comparison: Plain) -> None:
    # conftest: 6 x 12.5 + 4 s for seed 0 and 3 s more for seed 1, three sites; 10,000 sentences each.
    row = named(tables.costs_table(parse_study(comparison)), "Each site alone")
    assert row[1:4] == [wording.duration(3 * 80.5), "12 s", "30,000"]


def test_traffic_is_summed_over_rounds(comparison: Plain) -> None:
    assert named(tables.costs_table(parse_study(comparison)), "Federated")[-2:] == ["1.6 GB", "1.6 GB"]


def test_refused_replies_are_listed_with_reason_and_rounds(comparison: Plain) -> None:
    table = tables.refusals_table(parse_study(comparison))
    assert texts(table, 0) == ["site-2", "diverged: an update is not finite", "2", "2 (seed 0) and 2 (seed 1)"]


def test_the_chosen_learning_rate_is_the_best_on_dev(comparison: Plain) -> None:
    table = tables.tuning_table(parse_study(comparison))
    assert [column.title for column in table.columns] == ["Arm", "5e-05", "0.0001"]
    assert [cell.detail for cell in table.rows[1].cells[1:]] == ["", "chosen"]


def test_each_site_alone_has_its_own_learning_rate(comparison: Plain) -> None:
    comparison["tuning"]["local/site-1"] = {"0.0001": 0.5, "5e-05": 0.5}
    table = tables.tuning_table(parse_study(comparison))
    assert [row.cells[0].detail for row in table.rows] == ["centralized", "federated", "site-0", "site-1"]
    # Of equals the first one tried.
    assert [cell.detail for cell in table.rows[3].cells[1:]] == ["", "chosen"]


def test_every_run_has_a_row(comparison: Plain) -> None:
    assert len(tables.runs_table(parse_study(comparison)).rows) == 2 + 2 + 3 * 2


@pytest.mark.parametrize("absent", ["data", "tuning", "intervals", "differences", "summary", "config"])
def test_every_row_has_a_cell_per_column_whatever_is_absent(comparison: Plain, absent: str) -> None:
    del comparison[absent]
    study = parse_study(comparison)
    for name in tables.__all__:
        if name.endswith("_table"):
            table = getattr(tables, name)(study)
            assert {len(row.cells) for row in table.rows} <= {len(table.columns)}


def test_sites_sort_as_people_count(single: Plain) -> None:
    run = single["arms"]["federated"]["seeds"]["0"]
    run["sites"] = dict.fromkeys(["site-10", "site-2", "A", "site-1"], run["sites"]["site-0"])
    assert sites_of(parse_study(single)) == ("A", "site-1", "site-2", "site-10")


def test_a_curve_is_averaged_only_where_all_have_a_value() -> None:
    assert mean_curve([{1: 0.2, 2: 0.4, 3: 0.5}, {1: 0.4, 3: 0.7}]) == pytest.approx({1: 0.3, 3: 0.6})
    assert mean_curve([]) == {}


def test_a_round_without_dev_scores_leaves_a_hole_in_the_curve(single: Plain) -> None:
    single["arms"]["federated"]["seeds"]["0"]["rounds"][2]["dev"] = None
    assert list(dev_curves(parse_study(single), "federated")[0]) == [1, 2, 4, 5, 6]


def test_a_site_without_scores_has_no_mean(comparison: Plain) -> None:
    assert on_site(parse_study(comparison), "federated", "nowhere") is None


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (wording.duration(4.04), "4.0 s"),
        (wording.duration(59.6), "1 min 00 s"),
        (wording.duration(3725), "1 h 02 min"),
        (wording.size(999), "999 B"),
        (wording.size(90_870_000), "90.9 MB"),
        (wording.signed(-0.0004), "0.000"),
        (wording.signed(-0.02), "−0.020"),
        (wording.percent(-0.126), "−13%"),
        (wording.p_value(0.000999), "p < 0.001"),
        (wording.p_value(None), wording.ABSENT),
        (wording.interval(Interval(0.1, None)), wording.ABSENT),
        (wording.listed(["a"]), "a"),
        (wording.listed(["a", "b", "c"]), "a, b and c"),
        (wording.listed(["a", "b", "c", "d"], most=2), "a, b and 2 more"),
        (wording.counted(1, "run"), "1 run"),
        (wording.counted(1200, "run"), "1,200 runs"),
    ],
)
def test_numbers_read_well(said: str, expected: str) -> None:
    assert said == expected


def test_a_type_that_a_site_did_not_annotate_is_told_with_who_was_scored(comparison: Plain) -> None:
    comparison["data"]["partition"]["sites"][1]["unannotated"] = {"train": ["LOC"]}
    for arm in ("centralized", "federated"):
        for run in comparison["arms"][arm]["seeds"].values():
            run["support"] = {"PER": {"site-0": 300, "site-1": 60, "site-2": 40}, "LOC": {"site-0": 120}, "ORG": {}}
    study = parse_study(comparison)
    notes = tables.types_table(study).notes
    assert "LOC: scored at site-0 (120) only; at the other sites it is not annotated." in notes
    assert "ORG: not scored; it is not annotated." in notes
    assert not any(note.startswith("PER:") for note in notes)
    held = tables.partition_table(study)
    assert named(held, "site-1")[6] == wording.ABSENT != named(held, "site-0")[6]
    assert any("the type is not annotated" in note for note in held.notes)
