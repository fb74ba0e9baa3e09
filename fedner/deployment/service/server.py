"""`fedner server`: the coordinator's side. Flower's SuperLink behind its listeners, and the process that runs its apps.

STATE/superlink.db    runs, nodes and messages under way; what a restart goes on from
STATE/runs/           run directories
STATE/log/server.log  what the processes print
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from fedner.config.checks import require
from fedner.deployment.monitoring.credentials import viewing_token
from fedner.deployment.provisioning.federation_file import read_revoked
from fedner.deployment.provisioning.keys import fingerprint, public_line, read_public
from fedner.deployment.provisioning.kit import Kit, Ports
from fedner.deployment.provisioning.token import control_token
from fedner.deployment.service.access import token_digest
from fedner.deployment.service.downloads import summaries
from fedner.deployment.service.event_lines import log_event
from fedner.deployment.service.flower_programs import (
    MAX_FAILURES,
    environment,
    health_of,
    needed,
    new_secret,
    open_state,
    superexec,
)
from fedner.deployment.service.health import note_port
from fedner.deployment.service.settings import ServerSettings, WebSettings, write_settings
from fedner.deployment.service.supervisor import Program, Supervisor
from fedner.errors import ConfigError


@dataclass(frozen=True)
class Web:
    """Where the status page listens: an address of this machine, and a port."""

    host: str
    port: int


def serve(kit: Kit, state: Path, host: str, control_host: str, web: Web | None) -> bool:
    """Run the server of a kit until it is stopped; return False if its processes do not stay up.

    Args:
        kit: the server's or the coordinator's.
        state: the folder that everything lies in that has to outlive the process.
        host: where the sites' listener listens; an address of this machine.
        control_host: where the coordinator's listener listens.
        web: where the page to watch by listens; None is for no page.

    Raises:
        RunDirectoryError: another server works with `state`.
        ConfigError: the kit lacks what a server needs.
    """
    if web is not None:
        _require_free(web, kit.ports)
    with open_state(state):
        runs, secret = state / "runs", new_secret(state)
        runs.mkdir(exist_ok=True)
        note_port(state, kit.ports.health)
        settings = ServerSettings(
            federation=kit.federation,
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
            web=None if web is None else WebSettings(**vars(web), digest=token_digest(viewing_token(kit))),
        )
        write_settings(settings, state / "superlink.json")
        log = state / "log" / "server.log"
        control, page = f"{control_host}:{kit.ports.control}", {"web": f"{web.host}:{web.port}"} if web else {}
        log_event(
            "server", federation=kit.federation, sites=f"{host}:{kit.ports.fleet}", control=control, **page, log=log
        )
        _log_unfinished(runs)
        superlink = Program(
            "superlink",
            [sys.executable, "-P", "-m", "fedner.deployment.service.superlink", str(state / "superlink.json")],
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
        raise ConfigError(f"{kit.public_keys}: expected NAME.pub of each site, got none; is it the server's kit?")
    out = {each.fingerprint for each in read_revoked(kit.revoked_file)} if kit.revoked_file.is_file() else set[str]()
    allowed = {site: key for site, key in keys.items() if fingerprint(key) not in out}
    return {site: public_line(key, site).decode().strip() for site, key in allowed.items()}


def _require_free(web: Web, ports: Ports) -> None:
    """Refuse a port that is none, or another listener's."""
    require(1 <= web.port <= 65535, "--web", "a port from 1 to 65535", web.port)
    taken = next((name for name, port in vars(ports).items() if port == web.port), None)
    require(taken is None, "--web", f"another port than the one for {taken}, as the kit says", web.port)


def _log_unfinished(runs: Path) -> None:
    """Say which runs a stop or a crash interrupted, and how they go on."""
    for run in summaries(runs):
        if not run.finished:
            goes_on = f"fedner submit KIT --resume {run.name}"
            log_event("run-unfinished", run=run.name, rounds=f"{run.rounds}/{run.wanted}", goes_on=goes_on)
