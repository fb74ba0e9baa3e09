"""`fedner provision`: kits for the parties of a federation; preflight.py has `provision check`."""

from argparse import Namespace
from datetime import UTC, datetime

from fedner.cli.console import print_json
from fedner.deployment.provisioning import rotation
from fedner.deployment.provisioning.issuing import Outcome, add, issue, revoke
from fedner.deployment.provisioning.keys import fingerprint, make_site_key, read_public
from fedner.deployment.provisioning.signing import verify
from fedner.errors import ConfigError, RunError


def issue_kits(options: Namespace) -> None:
    """`fedner provision FEDERATION.yaml`."""
    _print_outcome(issue(options.federation, options.out, datetime.now(UTC)), options.json)


def add_kits(options: Namespace) -> None:
    """`fedner provision add`."""
    _print_outcome(add(options.folder, options.site, options.public_key, datetime.now(UTC)), options.json)


def revoke_kits(options: Namespace) -> None:
    """`fedner provision revoke`."""
    _print_outcome(revoke(options.folder, options.site, options.reason, datetime.now(UTC)), options.json)


def rotate_kits(options: Namespace) -> None:
    """`fedner provision rotate`."""
    _require_with(options)
    now = datetime.now(UTC)
    if options.site is not None:
        outcome = rotation.rotate_site(options.folder, options.site, options.public_key, now)
    elif options.server:
        outcome = rotation.rotate_server(options.folder, tuple(options.host), options.force, now)
    elif options.finish:
        outcome = rotation.finish_authority(options.folder, now)
    else:
        outcome = rotation.rotate_authority(options.folder, now)
    _print_outcome(outcome, options.json)


def _require_with(options: Namespace) -> None:
    pairs = [
        ("--public-key", options.public_key is not None, "--site", options.site is not None),
        ("--host", bool(options.host), "--server", options.server),
        ("--force", options.force, "--server", options.server),
        ("--finish", options.finish, "--ca", options.ca),
    ]
    for option, given, other, there in pairs:
        if given and not there:
            raise ConfigError(f"fedner provision rotate: {option} goes with {other}")


def make_key(options: Namespace) -> None:
    """`fedner provision key`."""
    private, public = make_site_key(options.site, options.out)
    mark = fingerprint(read_public(public))
    if options.json:
        print_json({"private": str(private), "public": str(public), "fingerprint": mark})
        return
    print(f"{private}  keep it here, and for its owner alone")
    print(f"{public}  send it to the coordinator, and read this fingerprint to them:")
    print(f"  {mark}")


def verify_kit(options: Namespace) -> None:
    """`fedner provision verify`."""
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


def _print_outcome(outcome: Outcome, as_json: bool) -> None:
    archives = [str(outcome.folder / f"{kit}.tar.gz") for kit in outcome.kits]
    if as_json:
        print_json({"said": outcome.said, "archives": archives, "fingerprint": outcome.fingerprint})
        return
    print(outcome.said)
    if archives:
        print("hand over:\n" + "\n".join(f"  {archive}" for archive in archives))
    print(f"authority, to compare by telephone:\n  {outcome.fingerprint}")
