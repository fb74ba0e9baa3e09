"""Options of the verbs that set up and run the parties of a federation: provision, server, client, units."""

from pathlib import Path

from fedner.cli.options import Parser, add_json, add_overrides

EVERYWHERE, LOOPBACK = "0.0.0.0", "127.0.0.1"
LISTENING = {"host": EVERYWHERE, "control_host": LOOPBACK, "web": None, "web_host": LOOPBACK}
"""Where `fedner server` listens by default, option -> value."""


def provision() -> Parser:
    """`fedner provision`, with its actions."""
    parser = Parser(
        "provision",
        "Make an authority, a server certificate, keys, and a kit for each party of a federation.\n"
        "FOLDER below is the one named after the federation in --out. verify, check and key are for each party, the\n"
        "others for the coordinator.",
        "fedner provision federation.yaml --out kits\n         fedner provision check site-north --site site.yaml",
        "fedner.cli.verbs.deployment.provision:issue_kits",
    )
    parser.add_argument("federation", type=Path, help="federation.yaml: name, server, contract, sites, validity")
    parser.add_argument("--out", type=Path, required=True, help="where the folder named after the federation is made")
    add_json(parser)
    _add_and_revoke(parser)
    _rotate(parser)
    _for_each_party(parser)
    return parser


def _changing(provision: Parser, name: str, about: str, example: str) -> Parser:
    parser = provision.action(name, about, example, f"fedner.cli.verbs.deployment.provision:{name}_kits")
    parser.add_argument("folder", type=Path, help="the folder named after the federation")
    add_json(parser)
    return parser


def _add_and_revoke(provision: Parser) -> None:
    add = _changing(
        provision,
        "add",
        "admit a site; other sites' kits stay as they are",
        "fedner provision add kits/cardio --site east --public-key east.pub",
    )
    add.add_argument("--site", required=True, help="the new site's name")
    add.add_argument("--public-key", type=Path, help="the key that the site made; a key pair is made here if none")
    revoke = _changing(
        provision,
        "revoke",
        "take a site out; its key can never register again",
        "fedner provision revoke kits/cardio --site east --reason 'laptop stolen'",
    )
    revoke.add_argument("--site", required=True, help="the site's name")
    revoke.add_argument("--reason", required=True, help="why, in a sentence; kept with the key and the time")


def _rotate(provision: Parser) -> None:
    parser = _changing(
        provision,
        "rotate",
        "replace a site's key, the server's certificate or the authority",
        "fedner provision rotate kits/cardio --server",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--site", help="the site whose key is replaced; the one before is revoked")
    what.add_argument("--server", action="store_true", help="the server's certificate and key, if that is due")
    what.add_argument("--ca", action="store_true", help="the authority; all kits trust both until --ca --finish")
    parser.add_argument("--public-key", type=Path, help="with --site: the new key that the site made")
    parser.add_argument(
        "--host", action="append", default=[], help="with --server: its names and addresses from now on"
    )
    parser.add_argument("--force", action="store_true", help="with --server: also if it is not due")
    parser.add_argument("--finish", action="store_true", help="with --ca: the previous authority is no longer trusted")


def _for_each_party(provision: Parser) -> None:
    verify = provision.action(
        "verify",
        "check that a kit is whole, by whom it was issued, and that its private keys are private",
        "fedner provision verify site-north",
        "fedner.cli.verbs.deployment.provision:verify_kit",
    )
    verify.add_argument("kit", type=Path, help="the kit's folder")
    verify.add_argument("--trusted", type=Path, help="ca.crt of a kit that is trusted already, to check a newer kit by")
    add_json(verify)
    check = provision.action(
        "check",
        "check everything this machine needs to take part\n\n"
        "Kit, versions, clock, certificates, network, keys, text: what is missing and what to do.",
        "fedner provision check site-north --site site.yaml",
        "fedner.cli.verbs.deployment.preflight:check_machine",
    )
    check.add_argument("kit", type=Path, help="the kit's folder")
    check.add_argument("--site", type=Path, help="a site's site.yaml, to look at its text as well")
    add_json(check)
    key = provision.action(
        "key",
        "make a site's key pair at the site, which sends the coordinator the .pub file alone",
        "fedner provision key --site north --out .",
        "fedner.cli.verbs.deployment.provision:make_key",
    )
    key.add_argument("--site", required=True, help="the site's name in the federation")
    key.add_argument("--out", type=Path, required=True, help="the folder that both keys are written into")
    add_json(key)


def server() -> Parser:
    """`fedner server`."""
    parser = Parser(
        "server",
        "Run the server of a federation until it is stopped (Ctrl-C, SIGTERM); it keeps its files in --state.",
        "fedner server kits/nord/server --state /var/lib/fedner/server",
        "fedner.cli.verbs.deployment.server:server",
    )
    parser.add_argument("kit", type=Path, help="the server's kit")
    parser.add_argument("--state", type=Path, default=Path("server-state"), help="folder for database, runs and log")
    _add_listening(parser)
    return parser


def _add_listening(parser: Parser) -> None:
    parser.add_argument("--host", default=EVERYWHERE, help="address where sites connect (default: all of IPv4; :: all)")
    parser.add_argument(
        "--control-host", default=LOOPBACK, help="address where the coordinator's commands connect (default: loopback)"
    )
    parser.add_argument("--web", type=int, metavar="PORT", help="serve a status page over TLS (default: none)")
    parser.add_argument("--web-host", default=LOOPBACK, help="address where that page is served (default: loopback)")


def client() -> Parser:
    """`fedner client`."""
    parser = Parser(
        "client",
        "Take part in a federation until stopped (Ctrl-C, SIGTERM); the site's text stays where the site file says.",
        "fedner client site-north --site site.yaml --state /var/lib/fedner/north",
        "fedner.cli.verbs.deployment.client:client",
    )
    parser.add_argument("kit", type=Path, help="the site's kit")
    parser.add_argument("--site", type=Path, required=True, help="the site file")
    parser.add_argument("--key", type=Path, help="the site's private key (default: NAME.key in the kit)")
    parser.add_argument("--state", type=Path, default=Path("client-state"), help="folder for the site's memory and log")
    parser.add_argument(
        "--dry-run",
        action="store_const",
        dest="run",
        const="fedner.cli.verbs.deployment.dry_run:client",
        help="show what the run that overrides describe would take, and end",
    )
    add_overrides(parser)
    return parser


def units() -> Parser:
    """`fedner units`."""
    parser = Parser(
        "units",
        "Write the systemd unit of whoever has this kit: the server, with where it listens, or a site.",
        "fedner units /etc/fedner/site-north --site /etc/fedner/site.yaml --output .",
        "fedner.cli.verbs.deployment.units:units",
    )
    parser.add_argument("kit", type=Path, help="the kit, where it will lie on that machine")
    parser.add_argument("--site", type=Path, help="the site file, for a site's kit")
    parser.add_argument("--user", default="fedner", help="account that the service runs under (default: fedner)")
    parser.add_argument("--gpu", action="store_true", help="leave the service the machine's devices")
    _add_listening(parser)
    parser.add_argument("--program", type=Path, help="the `fedner` command (default: that of this Python)")
    parser.add_argument("--output", type=Path, help="folder to write the unit to (default: print it)")
    return parser
