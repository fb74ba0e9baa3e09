"""`fedner client`: a site's side. Flower's SuperNode, and the process that works for it and runs no code but its own.

STATE/memory/          what the site remembers between rounds, a folder for each run
STATE/log/client.log   what the processes print, what went wrong with the site's own text among it; it never leaves
"""

import json
import os
import socket
import sys
from pathlib import Path

from fedner.config.site import SiteConfig, read_site
from fedner.data.corpus import num_sentences
from fedner.deployment.provisioning.kit import Kit
from fedner.deployment.service.event_lines import log_event
from fedner.deployment.service.flower_programs import (
    LOOPBACK,
    MAX_FAILURES,
    environment,
    health_of,
    listen,
    needed,
    new_secret,
    open_state,
)
from fedner.deployment.service.health import note_port
from fedner.deployment.service.supervisor import Program, Supervisor
from fedner.errors import ConfigError
from fedner.site.node_config import CONTRACT, MEMORY_OF_RUNS, SITE_FILE
from fedner.site.own_data import read_own_shard


def take_part(kit: Kit, site_file: Path, key: Path, state: Path) -> bool:
    """Run a site until it is stopped; return False if its processes do not stay up.

    Args:
        kit: the site's.
        site_file: the site file; its text is read once here, so that what is wrong with it is said at once.
        key: the site's private key.
        state: the folder that everything lies in that has to outlive the process.

    Raises:
        RunDirectoryError: another client works with `state`.
        InputError: the kit, the site file or the text is at fault.
    """
    site = read_site(site_file)
    _require_own(kit, site, site_file)
    shard = read_own_shard(site_file, kit.contract_file)
    # Listening here, for as long as the client runs, keeps the port from everybody else while a SuperNode restarts.
    with open_state(state), listen(LOOPBACK, 0) as runtime:
        port, secret = int(runtime.getsockname()[1]), new_secret(state)
        note_port(state, port)
        write_node_config(state / "node.toml", kit, site_file, state)
        programs = (_supernode(kit, key, state / "node.toml", runtime, secret), _worker(port, secret))
        log = state / "log" / "client.log"
        sentences = {f"{split}_sentences": num_sentences(shard.split(split)) for split in ("train", "dev", "test")}
        server = kit.address(kit.ports.fleet)
        log_event("client", federation=kit.federation, site=site.site, server=server, log=log, **sentences)
        return Supervisor(programs, environment(state), state, log, health_of(port), MAX_FAILURES).run()


def _supernode(kit: Kit, key: Path, node_config: Path, runtime: socket.socket, secret: Path) -> Program:
    command = [
        *(sys.executable, "-P", "-m", "fedner.deployment.service.supernode"),
        *("--superlink", kit.address(kit.ports.fleet)),
        *("--root-certificates", str(needed(kit.ca_certificate).resolve())),
        *("--key", str(needed(key).resolve())),
        *("--node-config", str(node_config)),
        *("--runtime-socket", str(runtime.fileno()), "--secret-file", str(secret)),
    ]
    return Program("supernode", command, sockets=[runtime.fileno()])


def _worker(port: int, secret: Path) -> Program:
    """Return the site's own worker in the place of Flower's, which would run what the server sends."""
    # -P: what lies in the working directory is not imported.
    command = [sys.executable, "-P", "-m", "fedner.site.worker", "--parent-pid", str(os.getpid())]
    command += ["--runtime-api-address", f"127.0.0.1:{port}", "--superexec-auth-secret-file", str(secret)]
    return Program("worker", command)


def _require_own(kit: Kit, site: SiteConfig, path: Path) -> None:
    if kit.site is not None and kit.site != site.site:
        raise ConfigError(
            f"{path}: site: expected '{kit.site}', whose kit this is, got '{site.site}'; the server knows sites by the "
            "names in their kits"
        )


def write_node_config(path: Path, kit: Kit, site_file: Path, state: Path) -> None:
    """Write the node config that Flower hands to the client app; a JSON string is a TOML string as well."""
    paths = {
        SITE_FILE: site_file.resolve(),
        CONTRACT: kit.contract_file.resolve(),
        MEMORY_OF_RUNS: (state / "memory").resolve(),
    }
    lines = [f"{key} = {json.dumps(str(value), ensure_ascii=False)}\n" for key, value in paths.items()]
    path.write_text("".join(lines), encoding="utf-8")
