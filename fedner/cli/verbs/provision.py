"""The verb provision: kits for the parties of a federation, and what each party checks before it starts."""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fedner.cli.console import print_json, stdout
from fedner.cli.options import Parser, option_parser
from fedner.errors import ConfigError, RunError

if TYPE_CHECKING:
    from fedner.deployment.provisioning.issuing import Outcome

HELP = """\
fedner provision: kits for the parties of a federation, and the check of each party's machine

example: fedner provision federation.yaml --out kits
         fedner provision check site-north --site site.yaml

the coordinator:
  FEDERATION.yaml --out DIR    make an authority, a server certificate, keys, and a kit for each party
  add FOLDER --site NAME       admit a site; other sites' kits stay as they are
  revoke FOLDER --site NAME --reason TEXT
                               take a site out; its key must not register any more
  rotate FOLDER --site NAME | --server | --ca
                               replace a site's key, the server's certificate, the authority
each party:
  verify KIT                   is the kit whole, from whom, and are its private keys private
  check KIT                    can this machine take part; what is missing and what to do
  key --site NAME --out DIR    a site makes its own key, and sends the coordinator the .pub file alone

`fedner provision add --help`, … shows the options. FOLDER is the one named after the federation in DIR.
"""


def provision(arguments: list[str]) -> None:
    """`fedner provision`."""
    actions: dict[str, Callable[[list[str]], None]] = {
        "add": _add,
        "revoke": _revoke,
        "rotate": _rotate,
        "verify": _verify,
        "check": _check,
        "key": _key,
    }
    if not arguments or arguments[0] in ("--help", "-h"):
        print(HELP, end="")
        return
    action = actions.get(arguments[0])
    if action is None:
        _issue(arguments)
    else:
        action(arguments[1:])


def _issue(arguments: list[str]) -> None:
    parser = option_parser(
        "provision", "Issue the kits of a federation.", "fedner provision federation.yaml --out kits"
    )
    parser.add_argument("federation", type=Path, help="federation.yaml: name, server, contract, sites, validity")
    parser.add_argument("--out", type=Path, required=True, help="where the folder named after the federation is made")
    options = _parse(parser, arguments)
    from fedner.deployment.provisioning.issuing import issue

    _tell(issue(options.federation, options.out, datetime.now(UTC)), options.json)


def _add(arguments: list[str]) -> None:
    parser = _changing("add", "Admit a site.", "fedner provision add kits/cardio --site east --public-key east.pub")
    parser.add_argument("--site", required=True, help="the new site's name")
    parser.add_argument("--public-key", type=Path, help="the key that the site made; a key pair is made here if none")
    options = _parse(parser, arguments)
    from fedner.deployment.provisioning.issuing import add

    _tell(add(options.folder, options.site, options.public_key, datetime.now(UTC)), options.json)


def _revoke(arguments: list[str]) -> None:
    example = "fedner provision revoke kits/cardio --site east --reason 'laptop stolen'"
    parser = _changing("revoke", "Take a site out, and its key for good.", example)
    parser.add_argument("--site", required=True, help="the site's name")
    parser.add_argument("--reason", required=True, help="why, in a sentence; kept with the key and the time")
    options = _parse(parser, arguments)
    from fedner.deployment.provisioning.issuing import revoke

    _tell(revoke(options.folder, options.site, options.reason, datetime.now(UTC)), options.json)


def _rotate(arguments: list[str]) -> None:
    example = "fedner provision rotate kits/cardio --server"
    parser = _changing("rotate", "Replace a site's key, the server's certificate or the authority.", example)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--site", help="the site whose key is replaced; the one before is revoked")
    what.add_argument("--server", action="store_true", help="the server's certificate and key, if that is due")
    what.add_argument("--ca", action="store_true", help="the authority; all kits trust both until --ca --finish")
    parser.add_argument("--public-key", type=Path, help="with --site: the new key that the site made")
    parser.add_argument(
        "--host", action="append", default=[], help="with --server: its names and addresses from now on"
    )
    parser.add_argument("--force", action="store_true", help="with --server: also if it is not due")
    parser.add_argument("--finish", action="store_true", help="with --ca: the authority before is trusted no more")
    options = _parse(parser, arguments)
    _require_with(options)
    from fedner.deployment.provisioning import rotation

    now = datetime.now(UTC)
    if options.site is not None:
        outcome = rotation.rotate_site(options.folder, options.site, options.public_key, now)
    elif options.server:
        outcome = rotation.rotate_server(options.folder, tuple(options.host), options.force, now)
    elif options.finish:
        outcome = rotation.finish_authority(options.folder, now)
    else:
        outcome = rotation.rotate_authority(options.folder, now)
    _tell(outcome, options.json)


def _require_with(options: argparse.Namespace) -> None:
    pairs = [
        ("--public-key", options.public_key is not None, "--site", options.site is not None),
        ("--host", bool(options.host), "--server", options.server),
        ("--force", options.force, "--server", options.server),
        ("--finish", options.finish, "--ca", options.ca),
    ]
    for option, given, other, there in pairs:
        if given and not there:
            raise ConfigError(f"fedner provision rotate: {option} goes with {other}")


def _key(arguments: list[str]) -> None:
    parser = option_parser(
        "provision key", "Make a site's key pair at the site.", "fedner provision key --site north --out ."
    )
    parser.add_argument("--site", required=True, help="the site's name in the federation")
    parser.add_argument("--out", type=Path, required=True, help="the folder that both keys are written into")
    options = _parse(parser, arguments)
    from fedner.deployment.provisioning.keys import fingerprint, make_site_key, read_public

    private, public = make_site_key(options.site, options.out)
    mark = fingerprint(read_public(public))
    if options.json:
        print_json({"private": str(private), "public": str(public), "fingerprint": mark})
        return
    print(f"{private}  keep it here, and for its owner alone")
    print(f"{public}  send it to the coordinator, and read this fingerprint to them:")
    print(f"  {mark}")


def _verify(arguments: list[str]) -> None:
    parser = option_parser("provision verify", "Check a kit.", "fedner provision verify site-north")
    parser.add_argument("kit", type=Path, help="the kit's folder")
    parser.add_argument("--trusted", type=Path, help="ca.crt of a kit that is trusted already, to check a newer kit by")
    options = _parse(parser, arguments)
    from fedner.deployment.provisioning.signing import verify

    verdict = verify(options.kit, options.trusted)
    problems = [*verdict.altered, *(f"{path}: others can read it; run: chmod 600 {path}" for path in verdict.exposed)]
    if options.json:
        print_json(
            {"ok": verdict.ok, "kit": verdict.kit.name, "fingerprint": verdict.fingerprint, "problems": problems}
        )
    else:
        print("\n".join([f"problem: {problem}" for problem in problems] or [f"{options.kit}: as it was issued"]))
        print(f"authority: {verdict.fingerprint}")
    if not verdict.ok:
        raise RunError(f"{options.kit}: not fit to use")


def _check(arguments: list[str]) -> None:
    parser = option_parser(
        "provision check",
        "Look at everything this machine needs to take part: kit, versions, clock, certificates, network, keys, text.",
        "fedner provision check site-north --site site.yaml",
    )
    parser.add_argument("kit", type=Path, help="the kit's folder")
    parser.add_argument("--site", type=Path, help="a site's site.yaml, to look at its text as well")
    options = _parse(parser, arguments)
    from fedner.deployment.preflight.checks import preflight
    from fedner.deployment.preflight.findings import all_well, findings_json, findings_table
    from fedner.deployment.provisioning.kit import read_kit

    kit = read_kit(options.kit)
    findings = preflight(kit, options.site, lambda: datetime.now(UTC))
    if options.json:
        print_json(findings_json(findings))
    else:
        stdout().print(findings_table(findings))
    if not all_well(findings):
        raise RunError(
            f"{options.kit}: this machine cannot take part yet; do what the failed checks say and check again"
        )


def _changing(action: str, what: str, example: str) -> Parser:
    parser = option_parser(f"provision {action}", what, example)
    parser.add_argument("folder", type=Path, help="the folder named after the federation")
    return parser


def _parse(parser: Parser, arguments: list[str]) -> argparse.Namespace:
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    return parser.parse_args(arguments)


def _tell(outcome: "Outcome", as_json: bool) -> None:
    archives = [str(outcome.folder / f"{kit}.tar.gz") for kit in outcome.kits]
    if as_json:
        print_json({"said": outcome.said, "archives": archives, "fingerprint": outcome.fingerprint})
        return
    print(outcome.said)
    if archives:
        print("hand over:\n" + "\n".join(f"  {archive}" for archive in archives))
    print(f"authority, to compare by telephone:\n  {outcome.fingerprint}")
