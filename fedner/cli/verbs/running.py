"""Verbs that run a party of a federation: server, client, units."""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from fedner.cli.options import option_parser
from fedner.cli.verbs.policy import dry_run
from fedner.errors import FederationError

EVERYWHERE, LOOPBACK = "0.0.0.0", "127.0.0.1"


def server(arguments: list[str]) -> None:
    """`fedner server`."""
    parser = option_parser(
        "server",
        "Run the server of a federation until it is stopped (Ctrl-C, SIGTERM); what it keeps lies in --state.",
        "fedner server kits/nord/server --state /var/lib/fedner/server",
    )
    parser.add_argument("kit", type=Path, help="the server's kit")
    parser.add_argument("--state", type=Path, default=Path("server-state"), help="folder for database, runs and log")
    _add_listening(parser)
    options = parser.parse_args(arguments)
    from fedner.deployment.provisioning.kit import read_kit
    from fedner.deployment.service.server import Web, serve

    web = None if options.web is None else Web(options.web_host, options.web)
    if not serve(read_kit(options.kit), options.state.resolve(), options.host, options.control_host, web):
        raise FederationError(f"the server does not stay up; {options.state / 'log' / 'server.log'} says more")


def _add_listening(parser: ArgumentParser) -> None:
    parser.add_argument("--host", default=EVERYWHERE, help="address where sites connect (default: all of IPv4; :: all)")
    parser.add_argument(
        "--control-host", default=LOOPBACK, help="address where the coordinator's commands connect (default: loopback)"
    )
    parser.add_argument("--web", type=int, metavar="PORT", help="serve a page to watch by, over TLS (default: none)")
    parser.add_argument("--web-host", default=LOOPBACK, help="address where that page is served (default: loopback)")


def _listening(options: Namespace) -> list[str]:
    """Return what `_add_listening` read, as it was written, but for what `fedner server` does by itself."""
    defaults = {"host": EVERYWHERE, "control_host": LOOPBACK, "web": None, "web_host": LOOPBACK}
    given = {name: getattr(options, name) for name in defaults if getattr(options, name) != defaults[name]}
    return [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def client(arguments: list[str]) -> None:
    """`fedner client`."""
    parser = option_parser(
        "client",
        "Take part in a federation until stopped (Ctrl-C, SIGTERM); the site's text stays where the site file says.",
        "fedner client site-north --site site.yaml --state /var/lib/fedner/north",
    )
    parser.add_argument("kit", type=Path, help="the site's kit")
    parser.add_argument("--site", type=Path, required=True, help="the site file")
    parser.add_argument("--key", type=Path, help="the site's private key (default: NAME.key in the kit)")
    parser.add_argument("--state", type=Path, default=Path("client-state"), help="folder for the site's memory and log")
    parser.add_argument(
        "--dry-run", action="store_true", help="show what a run would take and end; overrides say what run"
    )
    options, overrides = parser.parse_known_args(arguments)
    if overrides and not options.dry_run:
        parser.error(f"unrecognized arguments: {' '.join(overrides)}")
    from fedner.deployment.provisioning.kit import read_kit
    from fedner.deployment.service.client import take_part

    kit = read_kit(options.kit)
    if options.dry_run:
        dry_run(options.site, kit.contract_file, overrides, as_json=False)
        return
    if not take_part(kit, options.site, options.key or kit.site_key, options.state.resolve()):
        raise FederationError(f"the client does not stay up; {options.state / 'log' / 'client.log'} says more")


def units(arguments: list[str]) -> None:
    """`fedner units`."""
    parser = option_parser(
        "units",
        "Write the systemd unit of whoever has this kit: the server, with where it listens, or a site.",
        "fedner units /etc/fedner/site-north --site /etc/fedner/site.yaml --output .",
    )
    parser.add_argument("kit", type=Path, help="the kit, where it will lie on that machine")
    parser.add_argument("--site", type=Path, help="the site file, for a site's kit")
    parser.add_argument("--user", default="fedner", help="account that the service runs under (default: fedner)")
    parser.add_argument("--gpu", action="store_true", help="leave the service the machine's devices")
    _add_listening(parser)
    parser.add_argument("--program", type=Path, help="the `fedner` command (default: that of this Python)")
    parser.add_argument("--output", type=Path, help="folder to write the unit to (default: print it)")
    options = parser.parse_args(arguments)
    from fedner.deployment.provisioning.kit import read_kit
    from fedner.deployment.service.systemd import unit_for

    program = options.program or Path(sys.executable).parent / "fedner"
    site = options.site.resolve() if options.site else None
    unit = unit_for(read_kit(options.kit.resolve()), site, program, options.user, options.gpu, _listening(options))
    if options.output is None:
        print(unit.text, end="")
        return
    (options.output / unit.name).write_text(unit.text, encoding="utf-8")
    print(options.output / unit.name)
