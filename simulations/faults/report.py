"""What a fault did, and the table of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """What happened, whole rounds that were lost (None where rounds play no part), and what the run ended with."""

    happened: str
    rounds_lost: int | None
    result: str
    as_expected: bool


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    expected: str
    found: Found
    seed: int
    seconds: float


def table(rows: Sequence[Row]) -> str:
    """Return the table in Markdown."""
    lines = ["| fault | expected | what happened | rounds lost | result |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        lost = "-" if row.found.rounds_lost is None else str(row.found.rounds_lost)
        happened = row.found.happened if row.found.as_expected else f"**not as expected:** {row.found.happened}"
        cells = [row.name, row.expected, happened, lost, row.found.result]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
