"""Verbs of a site's administrator: what would leave, and whether the audit trail is whole: policy, audit."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fedner.cli.compose import run_composed
from fedner.cli.console import print_json
from fedner.cli.options import option_parser
from fedner.config import Config
from fedner.errors import AuditError, ConfigError

if TYPE_CHECKING:
    from fedner.audit.trail import Head
    from fedner.audit.verification import Findings
    from fedner.site.dry_run import Leaving

AUDIT = """\
fedner audit verify | head: is an audit trail what was written?

example: fedner audit verify audit.jsonl --anchor /mnt/elsewhere/heads
         fedner audit head audit.jsonl
  verify TRAIL      hold every byte against the chain; exit status 1 if anything does not fit
  --head 'N HASH'   a head that was kept elsewhere; shows what was cut off or written anew since
  --anchor FILE     many of them, a line each
  --json            one line of JSON
  head TRAIL        the number and hash of the last line, to be kept elsewhere
"""


def policy(arguments: list[str]) -> None:
    """`fedner policy show`."""
    parser = option_parser(
        "policy",
        "Show what would leave a site in answer to each request of a run: tensor by tensor, value by value, under the\n"
        "policy of its site file. Sends nothing and trains nothing. Overrides or --from RUN say what run.",
        "fedner policy show --site site.yaml --contract contract.yaml model=minilm federation.rounds=10",
    )
    parser.add_argument("action", choices=["show"])
    parser.add_argument("--site", type=Path, required=True, help="the site file")
    parser.add_argument("--contract", type=Path, required=True, help="the label contract, as the site's kit brought it")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options, overrides = parser.parse_known_args(arguments)
    dry_run(options.site, options.contract, overrides, options.json)


def dry_run(site: Path, contract: Path, overrides: Sequence[str], as_json: bool) -> None:
    """Print what would leave a site in the run that overrides or --from RUN describe.

    Raises:
        InputError: as `show`.
    """
    composed = list(overrides) if "--from" in overrides else ["data=at_sites", "partition=natural", *overrides]
    run_composed("policy show", composed, lambda config: show(config, site, contract, as_json))


def show(config: Config, site: Path, contract: Path, as_json: bool) -> None:
    """Print what would leave a site in a run.

    Raises:
        InputError: the site file, its text, the contract or the config is at fault.
    """
    from flwr.app import Context, RecordDict

    from fedner.site.dry_run import LATER, preview
    from fedner.site.node_config import CONTRACT, SITE_FILE

    named: dict[str, str | int | float | bool] = {SITE_FILE: str(site.resolve()), CONTRACT: str(contract.resolve())}
    context = Context(run_id=0, node_id=0, node_config=dict(named), state=RecordDict(), run_config={})
    found = preview(config, context)
    if as_json:
        print_json([_as_json(each) for each in found])
    else:
        print("\n".join(line for each in found for line in _lines(each, LATER)))


def _lines(leaving: "Leaving", later: frozenset[str]) -> Iterator[str]:
    content = leaving.content
    size = f"{len(content.tensors)} tensors, {len(content.values)} values, {content.num_bytes:,} bytes"
    yield f"{leaving.request.value}: {f'refused, {leaving.refusal}' if leaving.refusal else size}"
    for tensor in content.tensors:
        yield f"  {tensor.name}  {list(tensor.shape)} {tensor.dtype}  {tensor.num_bytes:,} bytes"
    for value in content.values:
        yield f"  {value.name}  {_shown(value.name, value.text, later, leaving)}"
    yield ""


def _shown(name: str, text: str, later: frozenset[str], leaving: "Leaving") -> str:
    if name not in later:
        return text
    numbers = text.count(",") + 1
    return "known after the work" if numbers == 1 else f"{numbers} numbers in contract order, known after the work"


def _as_json(leaving: "Leaving") -> dict[str, object]:
    content = leaving.content
    return {
        "request": leaving.request.value,
        "refusal": None if leaving.refusal is None else str(leaving.refusal),
        "num_bytes": content.num_bytes,
        "tensors": [
            {"name": each.name, "shape": list(each.shape), "dtype": each.dtype, "num_bytes": each.num_bytes}
            for each in content.tensors
        ],
        "values": [each.name for each in content.values],
    }


def audit(arguments: list[str]) -> None:
    """`fedner audit verify | head`."""
    if not arguments or "--help" in arguments or "-h" in arguments:
        print(AUDIT, end="")
        return
    actions = {"verify": _verify, "head": _head}
    if arguments[0] not in actions:
        raise ConfigError(f"audit: expected verify or head, got '{arguments[0]}'")
    actions[arguments[0]](arguments[1:])


def _head(arguments: list[str]) -> None:
    from fedner.audit.verification import verify

    parser = option_parser(
        "audit head", "Print the number and hash of a trail's last line.", "fedner audit head a.jsonl"
    )
    parser.add_argument("trail", type=Path)
    trail = parser.parse_args(arguments).trail
    found = verify(trail)
    _require_sound(trail, found)
    print(found.head)


def _verify(arguments: list[str]) -> None:
    from fedner.audit.verification import parse_head, read_heads, verify

    parser = option_parser("audit verify", "Check an audit trail.", "fedner audit verify audit.jsonl --anchor heads")
    parser.add_argument("trail", type=Path)
    parser.add_argument("--head", action="append", default=[], metavar="'N HASH'")
    parser.add_argument("--anchor", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    heads = [parse_head(text, "--head") for text in options.head]
    heads += [] if options.anchor is None else read_heads(options.anchor)
    found = verify(options.trail, heads)
    if options.json:
        print_json(_findings(found))
    else:
        print("\n".join(_verdict(found, heads)))
    _require_sound(options.trail, found)


def _verdict(found: "Findings", heads: Sequence["Head"]) -> Iterator[str]:
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


def _require_sound(trail: Path, found: "Findings") -> None:
    if not found.sound:
        raise AuditError(f"{trail}: the audit trail is not what was written: {found.problems[0]}")


def _findings(found: "Findings") -> dict[str, object]:
    return {
        "sound": found.sound,
        "keeper": found.keeper,
        "lines": found.lines,
        "head": None if found.head is None else str(found.head),
        "torn": list(found.torn),
        "problems": list(found.problems),
        "further": found.further,
    }
