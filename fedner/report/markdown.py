"""The same report as Markdown, which renders on a Git forge; figures are linked."""

import re
from collections.abc import Iterable, Iterator, Mapping

from fedner.metrics import CrossSiteMatrix
from fedner.report import facts, tables
from fedner.report.figures import Drawing
from fedner.report.sentences import summarise
from fedner.report.study import Study
from fedner.report.tables import Cell, Table
from fedner.report.tables.matrix import matrix_notes, matrix_rows

_SPECIAL = re.compile(r"[\\`*_\[\]|~$]")
_SPECIAL_AT_START = re.compile(r"^([-+#=](?=[-+#=\s]|$)|[0-9]+(?=[.)](?:\s|$)))")


def render_markdown(study: Study, drawings: Mapping[str, Drawing]) -> str:
    """Return the report; figures are expected in `figures/` beside it."""
    return "\n\n".join(_blocks(study, drawings)) + "\n"


def render_matrix(matrix: CrossSiteMatrix, drawing: Drawing | None, signature: str) -> str:
    """Return models x sites on their own; the figure is expected beside it."""
    title = "Every model on every site's text"
    table = matrix_rows(matrix, notes=matrix_notes(matrix))
    blocks = [*_section(title, drawing, table, folder="."), f"How the scores were made: {escape(signature)}"]
    return "\n\n".join(["#" + blocks[0].removeprefix("##"), *blocks[1:]]) + "\n"


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, on one line, in a table cell too."""
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    start = _SPECIAL_AT_START.match(line)
    line = _SPECIAL.sub(r"\\\g<0>", line)
    if start is None:
        return line
    return f"\\{line}" if not start[0].isdecimal() else f"{start[0]}\\{line[start.end() :]}"


def fenced(text: str, language: str = "") -> str:
    """Return text as a code block, in a fence longer than any run of backticks inside."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _blocks(study: Study, drawings: Mapping[str, Drawing]) -> Iterator[str]:
    statement = summarise(study)
    yield f"# {escape(facts.title(study))}"
    yield " · ".join(f"{name}: {escape(value)}" for name, value in facts.facts(study))
    yield f"**{escape(statement.headline)}**"
    yield _bullets(statement.support)
    yield from _section("The arms", drawings.get("arms"), tables.arms_table(study))
    yield from _section("Site by site", drawings.get("sites"), tables.sites_table(study))
    yield from _section("Every model on every site's text", drawings.get("matrix"), tables.matrix_table(study))
    yield from _section("Entity type by entity type", drawings.get("types"), tables.types_table(study))
    yield from _section("Learning curves", drawings.get("curves"))
    data = tables.partition_table(study), tables.splits_table(study), tables.encoding_table(study)
    yield from _section("Who holds what", drawings.get("partition"), *data)
    yield from _section("What it took", None, tables.costs_table(study), tables.refusals_table(study))
    yield from _making(study)


def _section(title: str, drawing: Drawing | None, *contents: Table, folder: str = "figures") -> Iterator[str]:
    filled = [table for table in contents if table]
    if not filled and drawing is None:
        return
    yield f"## {title}"
    if drawing is not None:
        yield f"![{escape(f'{drawing.title}. {drawing.description}')}]({folder}/{drawing.name}.svg)"
        if drawing.caption:
            yield escape(drawing.caption)
    for table in filled:
        yield from _table(table)


def _table(table: Table) -> Iterator[str]:
    yield f"{escape(table.caption)}:"
    lines = [[escape(column.title) for column in table.columns]]
    lines.append(["---:" if column.numeric else "---" for column in table.columns])
    lines.extend([_cell(cell) for cell in row.cells] for row in table.rows)
    yield "\n".join(f"| {' | '.join(line)} |" for line in lines)
    if table.notes:
        yield _bullets(table.notes)


def _cell(cell: Cell) -> str:
    text = f"**{escape(cell.text)}**" if cell.own else escape(cell.text)
    return f"{text} ({escape(cell.detail)})" if cell.detail else text


def _making(study: Study) -> Iterator[str]:
    yield "## How it was made"
    if study.command:
        yield f"To reproduce:\n\n{fenced(study.command, 'sh')}"
    if study.signature:
        yield f"How the scores were made: {escape(study.signature)}"
    if study.contract_hash:
        yield f"Label contract: {escape(study.contract_hash)}"
    yield from (escape(notice) for notice in study.notices)
    if study.missing:
        yield f"Runs still missing:\n\n{_bullets(study.missing)}"
    for table in (tables.tuning_table(study), tables.runs_table(study)):
        if table:
            yield from _table(table)
    if configuration := facts.configuration(study):
        yield f"Configuration:\n\n{fenced(configuration, 'yaml')}"
    if environment := facts.environment(study):
        yield f"Environment:\n\n{_bullets(f'{name}: {value}' for name, value in environment)}"


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {escape(sentence)}" for sentence in sentences)
