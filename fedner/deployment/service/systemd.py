"""systemd units for a server or a site: one service, an own user, and no more of the machine than the service needs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fedner.deployment.provisioning.kit import Kit, Party
from fedner.errors import ConfigError

_UNIT = """\
# {path}
# Written by `fedner units`. Install with:
#   useradd --system --home-dir {state} --shell /usr/sbin/nologin {user}
#   install -m 644 {name} /etc/systemd/system/ && systemctl daemon-reload && systemctl enable --now {name}

[Unit]
Description={description}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
User={user}
Group={user}
ExecStart={command}
Restart=on-failure
RestartSec=60
KillSignal=SIGTERM
KillMode=mixed
TimeoutStopSec=40
StateDirectory={state_name}
StateDirectoryMode=0700
WorkingDirectory={state}
Environment=HOME={state}
UMask=0077

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome={protect_home}
PrivateTmp=yes
PrivateDevices={private_devices}
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Unit:
    """A unit file: its name and its text."""

    name: str
    text: str


def server_unit(kit: Kit, program: Path, user: str, listening: Sequence[str] = ()) -> Unit:
    """Return the unit of a federation's server.

    Args:
        kit: the server's, where it will lie on that machine.
        program: the `fedner` command.
        user: the account that it runs under.
        listening: options of `fedner server` that say where it listens.
    """
    name = f"fedner-server-{kit.federation}"
    command = [str(program), "server", str(kit.folder), "--state", f"/var/lib/{name}", *listening]
    return _unit(name, f"fedner server of the federation {kit.federation}", command, user, [kit.folder], gpu=False)


def client_unit(kit: Kit, site_file: Path, program: Path, user: str, gpu: bool) -> Unit:
    """Return the unit of a site.

    Args:
        kit: the site's, where it will lie on that machine.
        site_file: the site file.
        program: the `fedner` command.
        user: the account that it runs under, which has to read kit, site file and text.
        gpu: leave it the devices, which a graphics card needs.
    """
    name = f"fedner-client-{kit.federation}-{kit.site}"
    command = [str(program), "client", str(kit.folder), "--site", str(site_file), "--state", f"/var/lib/{name}"]
    about = f"fedner client of site {kit.site} in the federation {kit.federation}"
    return _unit(name, about, command, user, [kit.folder, site_file], gpu)


def unit_for(
    kit: Kit, site_file: Path | None, program: Path, user: str, gpu: bool, listening: Sequence[str] = ()
) -> Unit:
    """Return the unit for the party of a kit.

    Raises:
        ConfigError: a site's unit lacks a site file or is told where to listen, or a path, the user or an address
            cannot stand in a unit.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,30}", user):
        raise ConfigError(f"--user: expected the name of an account, got {user!r}")
    broken = next((word for word in listening if not re.fullmatch(r"[\w.:-]+", word)), None)
    if broken is not None:
        raise ConfigError(f"expected an address or a port to listen at, got {broken!r}")
    if kit.party is not Party.site:
        return server_unit(kit, program, user, listening)
    if listening:
        raise ConfigError(f"{listening[0]}: expected with a server's kit, as a site does not listen")
    if site_file is None:
        raise ConfigError("--site: expected the site file, as this kit is a site's, got none")
    return client_unit(kit, site_file, program, user, gpu)


def _unit(name: str, description: str, command: list[str], user: str, read: list[Path], gpu: bool) -> Unit:
    for path in (Path(command[0]), *read):
        if not re.fullmatch(r"/[\w./+@-]+", str(path)):  # systemd would expand %, $ and split at spaces
            raise ConfigError(f"{path}: expected an absolute path of letters, digits and ./+@_- for a unit")
    at_home = any(str(path).startswith(("/home/", "/root/", "/run/user/")) for path in (Path(command[0]), *read))
    file = f"{name}.service"
    return Unit(
        file,
        _UNIT.format(
            path=f"/etc/systemd/system/{file}",
            name=file,
            description=description,
            command=" ".join(command),
            user=user,
            state=f"/var/lib/{name}",
            state_name=name,
            protect_home="read-only" if at_home else "yes",
            private_devices="no" if gpu else "yes",
        ),
    )
