"""Findings of the preflight: one for each check, with a remedy for each failure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from rich.markup import escape
from rich.table import Table


class State(StrEnum):
    """How one check ended."""

    ok = "ok"
    warning = "warning"
    failed = "failed"
    skipped = "skipped"


_STYLES = {State.ok: "green", State.warning: "yellow", State.failed: "bold red", State.skipped: "dim"}


@dataclass(frozen=True)
class Finding:
    """The result of one check, and the remedy if there is something to do."""

    check: str
    state: State
    found: str
    remedy: str = ""


def ok(check: str, found: str) -> Finding:
    """Return a finding that needs nothing done."""
    return Finding(check, State.ok, found)


def failed(check: str, found: str, remedy: str) -> Finding:
    """Return a finding that keeps the party from taking part until it is resolved."""
    return Finding(check, State.failed, found, remedy)


def warning(check: str, found: str, remedy: str) -> Finding:
    """Return a finding that does not hinder today."""
    return Finding(check, State.warning, found, remedy)


def skipped(check: str, why: str) -> Finding:
    """Return what could not be looked at."""
    return Finding(check, State.skipped, why)


def all_well(findings: Sequence[Finding]) -> bool:
    """Return whether nothing failed."""
    return all(finding.state is not State.failed for finding in findings)


def findings_json(findings: Sequence[Finding]) -> dict[str, object]:
    """Return the findings as plain values."""
    return {"ok": all_well(findings), "checks": [asdict(finding) for finding in findings]}


def findings_table(findings: Sequence[Finding]) -> Table:
    """Return the findings as a table, with what to do below what was found."""
    table = Table("check", "", "found")
    for finding in findings:
        remedy = f"\n→ {escape(finding.remedy)}" if finding.remedy else ""
        style = _STYLES[finding.state]
        table.add_row(escape(finding.check), f"[{style}]{finding.state}[/]", escape(finding.found) + remedy)
    return table
