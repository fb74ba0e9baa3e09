"""`fedner server`: the coordinator's side. Flower's SuperLink behind its listeners, and the process that runs its apps.

STATE/superlink.db    runs, nodes and messages under way; what a restart goes on from
STATE/runs/           run directories
STATE/log/server.log  what the processes print
"""

import sys
from pathlib import Path

from fedner.errors import ConfigError
from fedner.sites.downloads import summaries
from fedner.sites.federation_file import read_revoked
from fedner.sites.flower import MAX_FAILURES, environment, health_of, needed, new_secret, open_state, superexec
from fedner.sites.gates import token_digest
from fedner.sites.health import note_port
from fedner.sites.keys import fingerprint, public_line, read_public
from fedner.sites.kit import Kit
from fedner.sites.lines import tell
from fedner.sites.settings import ServerSettings, write_settings
from fedner.sites.supervise import Program, Supervisor
from fedner.sites.token import control_token


def serve(kit: Kit, state: Path, host: str, control_host: str) -> bool:
    """Run the server of a kit until told to stop; return False where its processes do not stay up.

    Args:
        kit: the server's or the coordinator's.
        state: the folder that everything lies in that has to outlive the process.
        host: where the sites' listener listens; an address of this machine.
        control_host: where the coordinator's listener listens.

    Raises:
        RunDirectoryError: another server works with `state`.
        ConfigError: the kit lacks what a server needs.
    """
    with open_state(state):
        runs, secret = state / "runs", new_secret(state)
        runs.mkdir(exist_ok=True)
        note_port(state, kit.ports.health)
        settings = ServerSettings(
            host=host,
            control_host=control_host,
            ports=kit.ports,
            certificate=str(needed(kit.server_certificate).resolve()),
            key=str(needed(kit.server_key).resolve()),
            database=str(state / "superlink.db"),
            runs=str(runs),
            secret_file=str(secret),
            token_digest=token_digest(control_token(kit)),
            sites=site_keys(kit),
        )
        write_settings(settings, state / "superlink.json")
        log = state / "log" / "server.log"
        tell("server", federation=kit.federation, sites=f"{host}:{kit.ports.fleet}",
             control=f"{control_host}:{kit.ports.control}", log=log)  # fmt: skip
        _tell_unfinished(runs)
        superlink = Program(
            "superlink", [sys.executable, "-P", "-m", "fedner.sites.superlink", str(state / "superlink.json")]
        )
        programs = (superlink, superexec(kit.ports.runtime, secret))
        healthy = health_of(kit.ports.health)
        return Supervisor(programs, environment(state), state, log, healthy, MAX_FAILURES).run()


def site_keys(kit: Kit) -> dict[str, str]:
    """Return each site's public key, one OpenSSH line, of those that may register.

    Raises:
        ConfigError: there are none, or a file holds no such key.
    """
    keys = {path.stem: read_public(path) for path in sorted(kit.public_keys.glob("*.pub"))}
    if not keys:
        raise ConfigError(f"{kit.public_keys}: wanted NAME.pub of each site, found none; is it the server's kit?")
    out = {each.fingerprint for each in read_revoked(kit.revoked_file)} if kit.revoked_file.is_file() else set[str]()
    allowed = {site: key for site, key in keys.items() if fingerprint(key) not in out}
    return {site: public_line(key, site).decode().strip() for site, key in allowed.items()}


def _tell_unfinished(runs: Path) -> None:
    """Say which runs a stop or a crash interrupted, and how they go on."""
    for run in summaries(runs):
        if not run.finished:
            goes_on = f"fedner submit KIT --resume {run.name}"
            tell("run-unfinished", run=run.name, rounds=f"{run.rounds}/{run.wanted}", goes_on=goes_on)
