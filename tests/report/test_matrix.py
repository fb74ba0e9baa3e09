"""The cross-site matrix and the fine-tuned arm in every output."""

import io
import json
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from fedner.metrics import CrossSiteMatrix
from fedner.report import parse_study, print_matrix, tables, write_matrix
from fedner.report.figures import COMPACT_INCHES, WIDE_INCHES, draw_all, draw_matrix
from fedner.report.figures.canvas import HEAT_COLOURS
from fedner.report.html import render_html
from fedner.report.markdown import render_markdown
from fedner.report.sentences import summarise
from fedner.report.tables import Table

Plain = dict[str, Any]
SVG = "{http://www.w3.org/2000/svg}"


def named(table: Table, name: str) -> list[str]:
    return next([cell.text for cell in row.cells] for row in table.rows if row.cells[0].text == name)


def shown(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def many(plain: Plain, number: int) -> CrossSiteMatrix:
    """Return a matrix of so many sites, each with a model of its own and all with the numbers of site-0."""
    matrix = plain["matrix"]
    sites = [f"hospital-{index}" for index in range(number)]
    general, local = matrix["rows"][1], matrix["rows"][2]
    rows = [general | {"sites": dict.fromkeys(sites, general["sites"]["site-0"])}]
    for arm in ("local", "fine_tuned"):
        cells = dict.fromkeys(sites, local["sites"]["site-0"])
        rows += [local | {"model": f"{arm}/{site}", "arm": arm, "site": site, "sites": cells} for site in sites]
    return CrossSiteMatrix.from_json(matrix | {"sites": sites, "rows": rows})


def printed(matrix: CrossSiteMatrix, width: int) -> str:
    buffer = io.StringIO()
    print_matrix(matrix, Console(file=buffer, width=width), "report/report.md")
    return buffer.getvalue()


def test_a_row_has_the_models_score_on_every_sites_text(comparison: Plain) -> None:
    # site-2's own model finds 0.85 less 0.02 per type of 40, 30 and 60 entities there: 34, 25 and 49, and one fewer of
    # each with seed 1: 108 and 105 of 130. Away, 0.74: site-0 222 + 86 + 63 = 371 and 368 of 510, site-1
    # 44 + 173 + 77 = 294 and 291 of 410.
    row = named(tables.matrix_table(parse_study(comparison)), "site-2, alone")
    wanted = [(371 + 368) / 2 / 510, (294 + 291) / 2 / 410, (108 + 105) / 2 / 130]
    assert row[1:4] == [f"{f1:.3f}" for f1 in wanted]
    pooled = (371 + 294 + 108 + 368 + 291 + 105) / 2 / 1050
    assert row[4] == f"{pooled:.3f}"


def test_a_sites_own_text_is_marked_in_every_output(comparison: Plain) -> None:
    study = parse_study(comparison)
    table = tables.matrix_table(study)
    assert [[cell.own for cell in row.cells[1:]] for row in table.rows] == [
        [False] * 4, [False] * 4,
        [True, False, False, False], [False, True, False, False], [False, False, True, False],
    ]  # fmt: skip
    own = table.rows[2].cells[1].text
    assert f"**{own}**" in render_markdown(study, {})
    assert f'<span class="said">own site: </span>{own}' in render_html(study, {}, {})
    assert study.matrix is not None
    assert f"▸{own}" in printed(study.matrix, 100)


def test_home_and_away_are_told(comparison: Plain) -> None:
    # site-0 at home, 0.80: 240 + 94 + 68 = 402 and 399 of 510; site-1, 0.80: 48 + 187 + 84 = 319 and 316 of 410;
    # site-2 as above. Away, 0.74: 371 and 368 of 510, 294 and 291 of 410, and site-2 30 + 22 + 42 = 94 and 91 of 130;
    # each text twice.
    home = (400.5 / 510 + 317.5 / 410 + 106.5 / 130) / 3
    away = (369.5 / 510 + 292.5 / 410 + 92.5 / 130) / 3
    said = f"F1 {home:.3f} on their own site's text, {away:.3f} on other sites', on average."
    assert any(note.endswith(said) for note in tables.matrix_table(parse_study(comparison)).notes)


def test_a_single_run_has_nothing_to_cross(single: Plain, comparison: Plain) -> None:
    assert not tables.matrix_table(parse_study(single))
    one = comparison["matrix"] | {"rows": comparison["matrix"]["rows"][:1]}
    study = parse_study(comparison | {"matrix": one})
    assert not tables.matrix_table(study)
    assert "matrix" not in draw_all(study)


def test_an_unseen_site_is_a_column_of_its_own(comparison: Plain) -> None:
    comparison["matrix"]["unseen"] = ["site-2"]
    table = tables.matrix_table(parse_study(comparison))
    assert [column.title for column in table.columns] == ["Model", "site-0", "site-1", "site-2 (unseen)", "All sites"]
    assert any("site-2 took no part and is left out" in note for note in table.notes)


def test_a_text_without_entities_has_no_score(comparison: Plain) -> None:
    nothing = {"f1": 0.0, "tp": 0, "fp": 0, "fn": 0, "types": {name: [0, 0, 0] for name in ("PER", "LOC", "ORG")}}
    empty = {"f1": 0.0, "low": None, "high": None, "support": 0, "seeds": {"0": nothing}}
    comparison["matrix"]["rows"][0]["sites"]["site-1"] = empty
    cell = tables.matrix_table(parse_study(comparison)).rows[0].cells[2]
    assert (cell.text, cell.detail) == ("–", "none in test text")
    assert draw_all(parse_study(comparison))["matrix"]


def test_intervals_are_shown_where_there_is_room(comparison: Plain) -> None:
    assert tables.matrix_table(parse_study(comparison)).rows[0].cells[1].detail
    ten = parse_study(comparison | {"matrix": many(comparison, 10).to_json()})
    table = tables.matrix_table(ten)
    assert {cell.detail for row in table.rows for cell in row.cells} == {""}
    assert any("intervals, are in metrics.json" in note for note in table.notes)


@pytest.mark.parametrize(("number", "width"), [(3, 100), (10, 100), (10, 80), (60, 100), (10, 40)])
def test_the_terminal_shows_what_fits_and_says_where_the_rest_is(comparison: Plain, number: int, width: int) -> None:
    said = printed(many(comparison, number), width)
    assert max(map(len, said.splitlines())) <= width
    if (number, width) in ((3, 100), (10, 100)):
        assert "The first" not in said
        assert f"hospital-{number - 1}, alone" in said
    else:
        assert re.search(rf"The first \d+ of {number} sites; all are in\s+report/report\.md", said)
    assert "…" not in said


def test_ten_sites_are_numbered_with_a_key_in_a_terminal_of_100_columns(comparison: Plain) -> None:
    said = " ".join(printed(many(comparison, 10), 100).split())
    assert "Columns: 1 hospital-0, 2 hospital-1," in said


def test_every_cell_of_the_figure_has_its_number_and_a_colour_of_the_scale(comparison: Plain) -> None:
    drawing = draw_all(parse_study(comparison))["matrix"]
    table = tables.matrix_table(parse_study(comparison))
    numbers = sorted(text for text in shown(drawing.svg) if re.fullmatch(r"0\.\d{3}", text))
    assert numbers == sorted(cell.text for row in table.rows for cell in row.cells[1:])
    assert set(re.findall(r"fill: (#[0-9a-f]{6})", drawing.svg)) & set(HEAT_COLOURS)
    assert "var(--heat-" in drawing.inline
    assert "own site's text" in drawing.description


def test_the_highest_score_is_drawn_stronger_than_the_lowest(comparison: Plain) -> None:
    study = parse_study(comparison)
    assert study.matrix is not None
    drawing = draw_matrix(study.matrix, WIDE_INCHES)
    assert drawing is not None
    # The scale is stretched to 0.2 below the highest: 0.74 less 0.02 per type is still in its lower half.
    used = {
        HEAT_COLOURS.index(found) for found in re.findall(r"fill: (#[0-9a-f]{6})", drawing.svg) if found in HEAT_COLOURS
    }
    assert max(used) == len(HEAT_COLOURS) - 1
    assert min(used) < max(used)


@pytest.mark.parametrize("width", [WIDE_INCHES, COMPACT_INCHES])
def test_many_sites_are_cut_in_the_figure_with_a_note(comparison: Plain, width: float) -> None:
    drawing = draw_matrix(many(comparison, 25), width)
    assert drawing is not None
    most = 20 if width == WIDE_INCHES else 10
    assert f"The first {most} of 25 sites; all are in the table." in drawing.caption
    ElementTree.fromstring(drawing.svg)


def test_a_long_site_name_keeps_how_the_model_was_trained(comparison: Plain) -> None:
    plain = json.loads(json.dumps(comparison["matrix"]).replace("site-0", "a hospital with a very long name"))
    drawing = draw_matrix(CrossSiteMatrix.from_json(plain), COMPACT_INCHES)
    assert drawing is not None
    assert any(re.fullmatch(r"a hospital.*…, alone", text) for text in shown(drawing.svg))


def test_models_that_come_from_no_study_are_written_with_their_names(comparison: Plain, tmp_path) -> None:
    rows = [
        row | {"arm": "", "model": name}
        for row, name in zip(comparison["matrix"]["rows"][1:3], ("ours", "site-0"), strict=True)
    ]
    write_matrix(CrossSiteMatrix.from_json(comparison["matrix"] | {"rows": rows}), tmp_path, "s|1")
    page = (tmp_path / "matrix.md").read_text(encoding="utf-8")
    assert page.startswith("# Every model on every site's text\n")
    assert "| ours |" in page
    assert "](./matrix.svg)" in page
    assert "ours" in shown((tmp_path / "matrix.svg").read_text(encoding="utf-8"))


def test_the_fine_tuned_arm_has_its_own_row_and_says_that_it_saw_more(fine_tuned: Plain) -> None:
    study = parse_study(fine_tuned)
    table = tables.arms_table(study)
    assert [row.cells[0].text for row in table.rows] == [
        "Pooled in one place", "Federated", "Each site alone", "Fine-tuned",
    ]  # fmt: skip
    assert table.rows[3].cells[0].detail == "federated, then fine-tuned at the site, mean of 3 sites"
    assert any("more passes over the text than the other arms" in note for note in table.notes)
    # 4,000 sentences at each of three sites, on top of the 30,000 of the federation.
    assert named(tables.costs_table(study), "Fine-tuned")[3] == "12,000"
    assert any("12,000 sentences, 40% more than the federated arm" in note for note in tables.costs_table(study).notes)


def test_a_site_sees_what_fine_tuning_gains_it(fine_tuned: Plain) -> None:
    table = tables.sites_table(parse_study(fine_tuned))
    titles = [column.title for column in table.columns]
    assert titles[2:6] == ["Own model", "Federated", "Fine-tuned", "Pooled in one place"]
    assert titles[-1] == "Fine-tuned minus federated"
    # site-2, 0.88 less 0.02 per type of 40, 30 and 60: 35 + 26 + 50 = 111 and 108;
    # federated 34 + 25 + 48 = 107 and 104.
    row = named(table, "site-2")
    assert row[titles.index("Fine-tuned")] == f"{109.5 / 130:.3f}"
    assert row[-1] == f"+{4 / 130:.3f}"


def test_the_verdict_on_joining_is_the_same_with_and_without_fine_tuning(comparison: Plain, fine_tuned: Plain) -> None:
    without, with_it = summarise(parse_study(comparison)), summarise(parse_study(fine_tuned))
    assert with_it.headline == without.headline
    added = [sentence for sentence in with_it.support if sentence not in without.support]
    assert len(added) == 1
    assert added[0].startswith("Fine-tuning the federated model at each site")
    assert "more passes" in added[0]


def test_every_fine_tuned_run_and_rate_is_listed(fine_tuned: Plain) -> None:
    study = parse_study(fine_tuned)
    rows = [[cell.text for cell in row.cells] for row in tables.runs_table(study).rows]
    tuned = [row for row in rows if row[0] == "Fine-tuned"]
    assert [(row[1], row[4]) for row in tuned] == [(site, "2") for site in ("site-0", "site-1", "site-2") for _ in "01"]
    assert any(row.cells[0].text == "Fine-tuned" for row in tables.tuning_table(study).rows)


def test_fine_tuning_has_no_place_on_the_federations_rounds(fine_tuned: Plain) -> None:
    texts = shown(draw_all(parse_study(fine_tuned))["curves"].svg)
    assert "Federated" in texts
    assert "Fine-tuned" not in texts
