import copy
import re
from typing import Any
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from fedner.report import parse_study
from fedner.report.figures import COMPACT_INCHES, WIDE_INCHES, draw_all
from fedner.report.figures.dots import draw_sites

Plain = dict[str, Any]
SVG = "{http://www.w3.org/2000/svg}"


def shown(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def renamed(plain: Plain, name: str) -> Plain:
    """Return the study with one site only, under another name."""
    plain = copy.deepcopy(plain)
    run = plain["arms"]["federated"]["seeds"]["0"]
    run["sites"] = {name: run["sites"]["site-0"]}
    return plain


def test_a_comparison_gets_every_figure(comparison: Plain) -> None:
    assert list(draw_all(parse_study(comparison))) == ["arms", "curves", "types", "sites", "matrix", "partition"]


def test_a_single_run_gets_the_figures_it_has_numbers_for(single: Plain) -> None:
    assert list(draw_all(parse_study(single))) == ["curves", "types", "sites"]


def test_the_same_study_gives_the_same_bytes(comparison: Plain) -> None:
    study = parse_study(comparison)
    assert draw_all(study) == draw_all(study)
    assert "date" not in draw_all(study)["arms"].svg.lower()


def test_words_stay_text_in_any_font(comparison: Plain) -> None:
    drawn = draw_all(parse_study(comparison))
    assert "Pooled in one place" in shown(drawn["arms"].svg)
    assert "site-2 (130)" in [" ".join(text.split()) for text in shown(drawn["sites"].svg)]
    assert "59%" in shown(drawn["partition"].svg)  # site-0: 300 of 510 entities are PER


def test_ids_of_all_figures_in_one_page_differ(comparison: Plain) -> None:
    study = parse_study(comparison)
    drawings = [drawn for width in (WIDE_INCHES, COMPACT_INCHES) for drawn in draw_all(study, width).values()]
    ids = [found for drawing in drawings for found in re.findall(r' id="([^"]*)"', drawing.inline)]
    assert len(ids) == len(set(ids))
    for drawing in drawings:
        used = set(re.findall(r'(?:href="#|url\(#)([^")]*)', drawing.inline))
        assert used <= set(ids)


def test_colours_in_the_page_follow_its_variables(comparison: Plain) -> None:
    inline = draw_all(parse_study(comparison))["sites"].inline
    assert "var(--federated)" in inline
    assert set(re.findall(r"#[0-9a-f]{6}\b", inline)) == set()


@settings(max_examples=12)
@given(name=st.text(st.sampled_from("<>&\"'$\\_^{}%]-! aé患者\n\x00\x1b\u202e\ufffe"), min_size=1, max_size=12))
def test_any_site_name_gives_a_well_formed_figure(single: Plain, name: str) -> None:
    study = parse_study(renamed(single, name))
    drawing = draw_sites(study, WIDE_INCHES)
    assert drawing is not None
    (site,) = study.federated[0].sites
    assert any(" ".join(site.split())[:10] in " ".join(text.split()) for text in shown(drawing.svg))
    ElementTree.fromstring(f'<svg xmlns:xlink="x">{drawing.inline}</svg>')


def test_a_long_name_is_cut_and_a_dollar_is_no_formula(single: Plain) -> None:
    drawing = draw_sites(parse_study(renamed(single, "$x^2$ " + "of a hospital " * 9)), WIDE_INCHES)
    assert drawing is not None
    assert any(text.startswith("$x^2$ of a hospital of") and "…" in text for text in shown(drawing.svg))


def test_many_sites_are_cut_with_a_note(single: Plain) -> None:
    run = single["arms"]["federated"]["seeds"]["0"]
    run["sites"] = {f"s{number}": run["sites"]["site-0"] for number in range(45)}
    drawing = draw_sites(parse_study(single), WIDE_INCHES)
    assert drawing is not None
    assert "The first 40 of 45 sites; all are in the table." in drawing.caption
    assert len([text for text in shown(drawing.svg) if text.startswith("s")]) == 40


def test_an_axis_that_starts_above_zero_is_said_to(comparison: Plain) -> None:
    note = "The axis does not start at zero."
    assert note in draw_all(parse_study(comparison))["arms"].caption
    for run in comparison["arms"]["federated"]["seeds"].values():
        run["test"]["micro"]["f1"] = 0.0
    assert note not in draw_all(parse_study(comparison))["arms"].caption


def test_the_rarest_of_many_types_share_a_colour(comparison: Plain) -> None:
    names = [f"T{number}" for number in range(10)]
    comparison["contract"]["types"] = names
    for site in comparison["data"]["partition"]["sites"]:
        site["train"]["entities"] = {name: number + 1 for number, name in enumerate(names)}
    texts = shown(draw_all(parse_study(comparison))["partition"].svg)
    assert "3 other types" in texts
    assert {"T0", "T1", "T2"}.isdisjoint(texts)
    assert {"T3", "T9"} <= set(texts)


def test_a_site_without_entities_is_drawn(comparison: Plain) -> None:
    comparison["data"]["partition"]["sites"][0]["train"] |= {"entities": {}, "sentences": 0}
    assert "site-0" in shown(draw_all(parse_study(comparison))["partition"].svg)
