"""`fedner contract propose | diff`: draft a label contract, or show what changed in one."""

from argparse import Namespace

from rich.markup import escape
from rich.table import Table

from fedner.cli.console import print_json, stdout
from fedner.data.labels import read_contract, write_contract
from fedner.data.negotiation import changes, extends, propose, read_statement
from fedner.errors import ConfigError


def propose_contract(options: Namespace) -> None:
    """`fedner contract propose`."""
    if options.out and options.out.exists():
        raise ConfigError(f"--out: {options.out} is there already; a contract in use is not overwritten")
    base = read_contract(options.base) if options.base else None
    found = propose([read_statement(path) for path in options.files], options.name, base)
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


def diff(options: Namespace) -> None:
    """`fedner contract diff`."""
    old, new = read_contract(options.old), read_contract(options.new)
    lines = changes(old, new)
    if options.json:
        print_json({"equal": not lines, "extends": extends(new, old), "changes": lines})
    else:
        print("\n".join(lines) if lines else f"no difference: {old.name}, version {old.version}, {old.digest[:12]}")
