"""The settings file from `fedner server` to its SuperLink process; it names secrets' files and holds none."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from fedner.deployment.provisioning.kit import Ports
from fedner.files import read_json


@dataclass(frozen=True, kw_only=True)
class WebSettings:
    """Where the page to watch by listens; `digest` is the SHA-256 of the coordinator's viewing token."""

    host: str
    port: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Where the SuperLink listens, who may come, and what it keeps where.

    `sites` has each site's public key as one OpenSSH line; `token_digest` is the SHA-256 of the coordinator's token;
    `secret_file` holds what the process that runs apps has to show. There is a page to watch by only where `web` is.
    """

    federation: str
    host: str
    control_host: str
    ports: Ports
    certificate: str
    key: str
    database: str
    runs: str
    secret_file: str
    token_digest: str
    sites: dict[str, str]
    web: WebSettings | None


def write_settings(settings: ServerSettings, path: Path) -> None:
    """Write the file, readable by its owner alone."""
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(settings), indent=1) + "\n", encoding="utf-8")


def read_settings(path: Path) -> ServerSettings:
    """Read what `write_settings` wrote."""
    plain = read_json(path)
    web = None if plain["web"] is None else WebSettings(**plain["web"])
    return ServerSettings(**{**plain, "ports": Ports(**plain["ports"]), "web": web})
