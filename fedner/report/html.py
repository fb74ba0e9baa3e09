"""The page: one file that needs no network and no script, drawn from the template beside this module."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fedner.report import facts, tables, wording
from fedner.report.averages import arms_of, on_test
from fedner.report.sentences import Verdict, summarise
from fedner.report.study import Study

if TYPE_CHECKING:
    from fedner.report.figures import Drawing  # whose matplotlib a page without figures need not wait for

BADGES = {
    Verdict.gain: ("▲", "Joining paid overall"),
    Verdict.unclear: ("■", "Unclear"),
    Verdict.loss: ("▼", "Joining did not pay"),
}


def render_html(study: Study, drawings: "Mapping[str, Drawing]", compact: "Mapping[str, Drawing]") -> str:
    """Return the page.

    Args:
        drawings: name -> figure.
        compact: the same figures, drawn for a telephone.
    """
    templates = page_templates()
    statement = summarise(study)
    return templates.get_template("report.html").render(
        study=study,
        title=facts.title(study),
        facts=facts.facts(study),
        environment=facts.environment(study),
        configuration=facts.configuration(study),
        statement=statement,
        badge=BADGES.get(statement.verdict),
        tiles=tiles(study),
        drawings=drawings,
        compact=compact,
        svg=lambda drawing: Markup(drawing.inline),
        tables=tables,
        style=style_sheet(templates),
    )


def page_templates(package: str | None = None) -> Environment:
    """Return the report's templates, and those of another package that draws a page in the same look.

    Every value is escaped; only figures, which matplotlib wrote and escaped, and our own style sheet are not.
    """
    loaders = [PackageLoader(name) for name in (package, "fedner.report") if name]
    return Environment(
        loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip


def style_sheet(templates: Environment) -> Markup:
    """Return the style sheet of the report's look."""
    return Markup(templates.get_template("style.css").render())


def tiles(study: Study) -> list[tuple[str, str, str, str]]:
    """Return the headline numbers: arm, name, value, and what stands below it."""
    found = [_tile(study, arm) for arm in ("federated", "local", "centralized") if arm in arms_of(study)]
    if study.gap_closed is not None and study.gap_closed.mean is not None and study.complete and not study.synthetic:
        bounds = wording.percent_interval(study.gap_closed)
        below = "no interval" if bounds == wording.ABSENT else bounds
        found.append(("gap", "Gap closed", wording.percent(study.gap_closed.mean), below))
    return found


def _tile(study: Study, arm: str) -> tuple[str, str, str, str]:
    mean = on_test(study, arm)
    bounds = tables.interval_cell(study, arm)
    below = (bounds.detail or "no interval") if bounds.absent else bounds.text
    return arm, f"{wording.ARM_NAMES[arm]}, F1", wording.score(mean.f1 if mean else None), below


def render_summary(study: Study) -> str:
    """Return the headline and the tables of arms and sites as a piece of HTML, for a notebook."""
    draw = getattr(page_templates().get_template("tables.html").module, "draw")  # noqa: B009 - unknown to pyright
    found = [draw(table) for table in (tables.arms_table(study), tables.sites_table(study)) if table]
    return Markup("<p><strong>{}</strong></p>").format(summarise(study).headline) + Markup("").join(found)
