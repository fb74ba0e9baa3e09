import copy
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from fedner.report import parse_study, print_summary, write_report
from fedner.report.html import render_html
from fedner.report.markdown import escape, fenced, render_markdown

Plain = dict[str, Any]
NAMES = st.text(st.sampled_from("<>&\"'`|*_[](){}#\\$%~!/=-: aZé患\n\t\x00\x1b\u202e\ud800"), min_size=1, max_size=14)
FEW = settings(max_examples=15)


class Outline(HTMLParser):
    """The tags of a page with the names of their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(("/" + tag,))

    def handle_data(self, data: str) -> None:
        self.text += data


def everywhere(plain: Plain, name: str) -> Plain:
    """Return the study with a name put wherever a person or a file can put one."""
    named = json.loads(json.dumps(plain).replace('"site-1"', '"@"').replace('"ORG"', '"@"'))
    named = json.loads(json.dumps(named).replace('"@"', json.dumps(name)))
    return named | {
        "notices": [name],
        "signature": f"s{name}",
        "command": f"c{name}",
        "environment": {f"e{name}": {"f": f"g{name}"}},
        "config": named["config"] | {f"k{name}": f"v{name}"},
        "missing": [f"m{name}"],
    }


def page_of(plain: Plain) -> str:
    return render_html(parse_study(plain), {}, {})


def printed(plain: Plain, width: int, terminal: bool = False) -> str:
    buffer = io.StringIO()
    print_summary(parse_study(plain), Console(file=buffer, width=width, force_terminal=terminal))
    return buffer.getvalue()


def write(directory: Path, plain: Plain) -> Path:
    path = directory / "report" / "metrics.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain), encoding="utf-8")
    return directory


@FEW
@given(name=NAMES)
def test_no_name_breaks_out_of_the_page(comparison: Plain, name: str) -> None:
    plain = Outline(page_of(everywhere(comparison, "plain")))
    assert Outline(page_of(everywhere(comparison, name))).tags == plain.tags


@FEW
@given(name=NAMES)
def test_no_name_breaks_a_markdown_table_or_brings_html(comparison: Plain, name: str) -> None:
    plain = render_markdown(parse_study(everywhere(comparison, "plain")), {})
    found = render_markdown(parse_study(everywhere(comparison, name)), {})
    before = found[: found.index("How it was made")]
    assert "<" not in before
    assert [line.count(" | ") for line in _rows(found)] == [line.count(" | ") for line in _rows(plain)]


def _rows(markdown: str) -> list[str]:
    """Return the table rows, with escaped characters taken out."""
    outside = re.sub(r"(?ms)^(`{3,})[a-z]*\n.*?^\1$", "", markdown)
    return [re.sub(r"\\.", "", line) for line in outside.splitlines() if line.startswith("| ")]


@FEW
@given(name=NAMES)
def test_no_name_drives_the_terminal(comparison: Plain, name: str) -> None:
    said = printed(everywhere(comparison, name), 120)
    assert "\x1b" not in said
    assert "\u202e" not in said


def test_rich_markup_in_a_name_is_printed_as_it_is(comparison: Plain) -> None:
    assert "[red]x[/red]" in printed(everywhere(comparison, "[red]x[/red]"), 160)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("- a", "\\- a"), ("1. a", "1\\. a"), ("# a", "\\# a"), ("site-0", "site-0"), ("a & <b>", "a &amp; &lt;b&gt;")],
)
def test_a_name_is_no_list_heading_or_element(text: str, shown: str) -> None:
    assert escape(text) == shown


@pytest.mark.parametrize("text", ["a|b", "**a**", "[a](b)", "<b>", "a\nb", "`a`", "\\"])
def test_markdown_characters_are_escaped(text: str) -> None:
    shown = escape(text)
    assert "\n" not in shown
    assert "<" not in shown
    assert not re.search(r"(?<!\\)(?:\\\\)*[|*`\[]", shown)


def test_a_fence_is_longer_than_those_inside() -> None:
    assert fenced("a\n```\nb") == "````\na\n```\nb\n````"


@pytest.mark.parametrize("fixture", ["comparison", "single", "incomplete", "one_seed", "fine_tuned"])
def test_every_output_is_written_and_needs_no_network(
    fixture: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    paths = write_report(write(tmp_path, request.getfixturevalue(fixture)))
    page = paths.html.read_text(encoding="utf-8")
    assert not re.search(r"https?:|<script|<link|<img|@import|url\((?!#)", page)
    assert page.count("<h1>") == 1
    markdown = paths.markdown.read_text(encoding="utf-8")
    linked = re.findall(r"\]\((figures/[a-z]+\.svg)\)", markdown)
    assert sorted(linked) == sorted(f"figures/{path.name}" for path in paths.figures)
    assert all((paths.markdown.parent / link).is_file() for link in linked)


def test_the_same_study_gives_the_same_bytes(comparison: Plain, tmp_path: Path) -> None:
    directory = write(tmp_path, comparison)
    first = {path: path.read_bytes() for path in _files(write_report(directory))}
    second = {path: path.read_bytes() for path in _files(write_report(directory))}
    assert first == second


def _files(paths: Any) -> list[Path]:
    return [paths.html, paths.markdown, *paths.figures]


def test_a_figure_that_the_study_no_longer_has_goes(comparison: Plain, single: Plain, tmp_path: Path) -> None:
    write_report(write(tmp_path, comparison))
    paths = write_report(write(tmp_path, single))
    assert sorted((tmp_path / "report" / "figures").iterdir()) == sorted(paths.figures)
    assert not list(tmp_path.glob("report/**/.*"))


def test_page_markdown_and_terminal_say_the_same(comparison: Plain) -> None:
    text = " ".join(Outline(page_of(comparison)).text.split())
    markdown = render_markdown(parse_study(comparison), {}).replace("\\", "")
    terminal = " ".join(printed(comparison, 400).split())
    # Federated: 864 and 855 of 1050 found (test_tables).
    for number in ("0.819", "Joining paid overall, but not clearly for every site: on the pooled test set"):
        assert number in text
        assert number in markdown
        assert number in terminal


def test_tables_have_captions_and_headed_rows_and_columns(comparison: Plain) -> None:
    page = page_of(comparison)
    tables = re.findall(r"<table class.*?</table>", page, flags=re.DOTALL)
    assert len(tables) == 10
    for table in tables:
        assert "<caption>" in table
        assert 'scope="col"' in table
        assert 'scope="row"' in table


def test_no_share_of_a_gap_is_shown_for_synthetic_text(comparison: Plain) -> None:
    assert '<div class="tile gap">' in page_of(comparison)
    comparison["config"]["data"]["kind"] = "synthetic"
    assert '<div class="tile gap">' not in page_of(comparison)


def test_a_comparison_that_is_not_complete_says_so_everywhere(incomplete: Plain) -> None:
    assert "Preliminary" in page_of(incomplete)
    assert "local site-2 seed 1" in page_of(incomplete)
    assert "Preliminary" in render_markdown(parse_study(incomplete), {})
    assert "Preliminary" in printed(incomplete, 80)


@pytest.mark.parametrize("width", [30, 60, 80, 200])
def test_the_terminal_table_keeps_to_the_window(comparison: Plain, width: int) -> None:
    assert max(len(line) for line in printed(comparison, width).splitlines()) <= width


def test_without_a_terminal_there_are_no_control_codes(comparison: Plain) -> None:
    assert "\x1b" not in printed(comparison, 100)
    assert "\x1b" in printed(comparison, 100, terminal=True)


def test_a_report_is_a_matter_of_the_study_alone(comparison: Plain) -> None:
    before = copy.deepcopy(comparison)
    page_of(comparison)
    assert comparison == before


def test_importing_the_report_waits_for_neither_matplotlib_nor_torch() -> None:
    code = "import sys, fedner.report; print(sorted({'matplotlib', 'jinja2', 'torch', 'flwr'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
