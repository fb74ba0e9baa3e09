"""`fedner contract propose | diff`: how a label contract comes about and what became of it."""

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from fedner.cli.console import print_json, stdout
from fedner.cli.options import option_parser
from fedner.errors import ConfigError

CONTRACT = """\
fedner contract propose | diff: come to a label contract, and see what became of it

example: fedner contract propose north.yaml south.yaml --name letters --out labels.yaml
         fedner contract propose north.yaml east.yaml --base labels.yaml --out labels-2.yaml
         fedner contract diff labels.yaml labels-2.yaml
  propose           draft a contract from what sites tell of their types, and list what they should talk about
  diff              what is added, removed and changed, and what that means for trained models
  --json            one line of JSON
"""


def contract(arguments: list[str]) -> None:
    """`fedner contract propose | diff`."""
    if not arguments or arguments[0] in ("--help", "-h"):
        print(CONTRACT, end="")
        return
    actions = {"propose": _propose, "diff": _diff}
    if arguments[0] not in actions:
        raise ConfigError(f"contract: expected propose or diff, got '{arguments[0]}'")
    actions[arguments[0]](arguments[1:])


def _propose(arguments: list[str]) -> None:
    from fedner.data.labels import read_contract, write_contract
    from fedner.data.negotiation import Proposal, propose, read_statement

    parser = option_parser(
        "contract propose",
        "Draft a contract of the union of the types that sites tell of. Nothing is merged: what may be one type under "
        "two names, or two under one, is listed for people to settle.",
        "fedner contract propose north.yaml south.yaml --name letters --out labels.yaml",
    )
    parser.add_argument("files", nargs="+", type=Path, help="YAML of a site: `site` and `types` (name: meaning)")
    parser.add_argument("--name", default="entities", help="name of a new contract")
    parser.add_argument("--base", type=Path, help="the contract so far: its types stay first and in their order")
    parser.add_argument("--out", type=Path, help="where to write the draft; it must not be there yet")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args(arguments)
    if options.out and options.out.exists():
        raise ConfigError(f"--out: {options.out} is there already; a contract in use is not overwritten")
    base = read_contract(options.base) if options.base else None
    found: Proposal = propose([read_statement(path) for path in options.files], options.name, base)
    if options.out:
        write_contract(found.contract, options.out)
    if options.json:
        print_json(found.to_json())
        return
    table = Table(title=f"{found.contract.name}, version {found.contract.version}", title_justify="left")
    for title in ("type", "meaning", "sites (entities, where told)"):
        table.add_column(title)
    for entity in found.contract.types:
        told = found.sites[entity.name].items()
        sites = ", ".join(site if count is None else f"{site} ({count:,})" for site, count in told)
        table.add_row(escape(entity.name), escape(entity.meaning), escape(sites))
    stdout().print(table)
    for conflict in found.conflicts:
        print(f"{conflict.kind}: {conflict.sentence}")


def _diff(arguments: list[str]) -> None:
    from fedner.data.labels import read_contract
    from fedner.data.negotiation import changes, extends

    parser = option_parser(
        "contract diff",
        "Say what became of a contract: added, removed and changed types, and what that means for trained models.",
        "fedner contract diff labels.yaml labels-2.yaml",
    )
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args(arguments)
    old, new = read_contract(options.old), read_contract(options.new)
    lines = changes(old, new)
    if options.json:
        print_json({"equal": not lines, "extends": extends(new, old), "changes": lines})
    else:
        print("\n".join(lines) if lines else f"no difference: {old.name}, version {old.version}, {old.digest[:12]}")
