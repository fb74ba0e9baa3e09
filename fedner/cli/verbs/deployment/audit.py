"""`fedner audit verify | head`: is a site's audit trail as it was written?"""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from fedner.audit.trail import Head
from fedner.audit.verification import Findings, parse_head, read_heads, verify
from fedner.cli.console import print_json
from fedner.errors import AuditError


def print_head(options: Namespace) -> None:
    """`fedner audit head`."""
    found = verify(options.trail)
    _require_sound(options.trail, found)
    print(found.head)


def verify_trail(options: Namespace) -> None:
    """`fedner audit verify`."""
    heads = [parse_head(text, "--head") for text in options.head]
    heads += [] if options.anchor is None else read_heads(options.anchor)
    found = verify(options.trail, heads)
    if options.json:
        print_json(_findings(found))
    else:
        print("\n".join(_verdict(found, heads)))
    _require_sound(options.trail, found)


def _verdict(found: Findings, heads: Sequence[Head]) -> Iterator[str]:
    yield f"{found.lines} lines, kept by {found.keeper or 'nobody who says so'}; head {found.head}"
    for place in found.torn:
        yield f"line {place} was cut short while it was written, as the line after it says"
    yield from found.problems
    if found.further:
        yield f"and {found.further} more"
    if found.sound and not heads:
        yield "the chain is whole; without a head kept elsewhere, lines cut off its end would not show"
    elif found.sound:
        newest = max(head.number for head in heads)
        yield f"the chain is whole and holds the {len(heads)} heads kept elsewhere, the newest of line {newest}"


def _require_sound(trail: Path, found: Findings) -> None:
    if not found.sound:
        raise AuditError(f"{trail}: the audit trail is not what was written: {found.problems[0]}")


def _findings(found: Findings) -> dict[str, object]:
    return {
        "sound": found.sound,
        "keeper": found.keeper,
        "lines": found.lines,
        "head": None if found.head is None else str(found.head),
        "torn": list(found.torn),
        "problems": list(found.problems),
        "further": found.further,
    }
