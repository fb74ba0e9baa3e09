"""A kit: the folder that one party of a federation is handed.

    each          kit.yaml, contract.yaml, README.md, ca.crt, SHA256SUMS and its signature by the CA's key
    coordinator/  federation.yaml, ca.key, server.crt, server.key, sites/NAME.pub, revoked.yaml
    server/       server.crt, server.key, sites/NAME.pub, revoked.yaml
    site-NAME/    site.example.yaml, NAME.pub, NAME.key (absent where the site made its own)

`kit.yaml` says whose kit it is and how the server is reached; the rest follows from the names of the files.
"""

import ipaddress
import re
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from fedner.config.checks import require
from fedner.config.typed import read_typed, write_plain
from fedner.errors import ConfigError

SCHEMA = 1
KIT_FILE = "kit.yaml"

# No dots: neither `..` nor a suffix can be made of a name, and `site-NAME.tar.gz` is no other site's folder.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", re.ASCII)
_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)", re.ASCII)


class Party(StrEnum):
    """Whose kit it is."""

    coordinator = "coordinator"
    server = "server"
    site = "site"


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The server's ports (1 to 65535), all different."""

    fleet: int = 9092
    """Where sites connect."""
    control: int = 9093
    """Where the coordinator's commands connect."""
    runtime: int = 8000
    """Where the server's own processes connect; need not be open to anybody else."""
    health: int = 9094
    """Where the server says that it is alive; need not be open to anybody else."""

    def __post_init__(self) -> None:
        seen: dict[int, str] = {}
        for entry in fields(self):
            port = getattr(self, entry.name)
            require(1 <= port <= 65535, f"ports.{entry.name}", "a port from 1 to 65535", port)
            require(port not in seen, f"ports.{entry.name}", f"another port than {seen.get(port)}'s", port)
            seen[port] = entry.name


@dataclass(frozen=True, kw_only=True)
class Kit:
    """What kit.yaml says, and where the kit lies."""

    folder: Path
    """The kit; not in the file."""
    schema: int = SCHEMA
    """Version of the layout."""
    federation: str
    """The federation's name."""
    party: Party
    """Whose kit it is."""
    site: str | None = None
    """The site's name in a site's kit; null in others."""
    host: str
    """The server's name or address, as the sites reach it."""
    ports: Ports = field(default_factory=Ports)
    """The server's ports."""
    contract_hash: str
    """SHA-256 (hex) of the label contract that lies in the kit."""
    fedner: str
    """fedner's version when the kit was issued."""
    flwr: str
    """Flower's version when the kit was issued."""
    python: str
    """Python's version (major.minor) when the kit was issued."""
    issued: datetime
    """When the kit was made."""
    valid_until: datetime
    """When the first of the certificates in the kit expires."""

    def __post_init__(self) -> None:
        require(self.schema == SCHEMA, "schema", f"{SCHEMA}, the layout that this fedner knows", self.schema)
        check_name(self.federation, "federation")
        if self.party is Party.site:
            require(self.site is not None, "site", "the site's name", self.site)
            check_name(str(self.site), "site")
        else:
            require(self.site is None, "site", f"null in the kit of the {self.party}", self.site)
        check_host(self.host, "host")
        hexadecimal = re.fullmatch(r"[0-9a-f]{64}", self.contract_hash) is not None
        require(hexadecimal, "contract_hash", "64 hexadecimal digits", self.contract_hash)
        for name in ("fedner", "flwr", "python"):
            require(bool(getattr(self, name)), name, "a version", getattr(self, name))
        require(self.issued < self.valid_until, "valid_until", f"a moment after {self.issued}", str(self.valid_until))

    @property
    def name(self) -> str:
        """The kit's folder name: `coordinator`, `server` or `site-NAME`."""
        return f"site-{self.site}" if self.party is Party.site else str(self.party)

    @property
    def contract_file(self) -> Path:
        """The label contract."""
        return self.folder / "contract.yaml"

    @property
    def ca_certificate(self) -> Path:
        """The certificate that everybody checks the server's against."""
        return self.folder / "ca.crt"

    @property
    def server_certificate(self) -> Path:
        """The server's certificate; in the coordinator's and the server's kit."""
        return self.folder / "server.crt"

    @property
    def server_key(self) -> Path:
        """The server's private key; in the coordinator's and the server's kit."""
        return self.folder / "server.key"

    @property
    def site_key(self) -> Path:
        """The site's private key, in its own kit; the site puts it there if it made the key itself."""
        return self.folder / f"{self.site}.key"

    @property
    def site_public_key(self) -> Path:
        """The site's public key in its own kit."""
        return self.folder / f"{self.site}.pub"

    @property
    def public_keys(self) -> Path:
        """The folder with NAME.pub of each site that may register; in the coordinator's and the server's kit."""
        return self.folder / "sites"

    @property
    def revoked_file(self) -> Path:
        """The public keys that may not register any more; in the coordinator's and the server's kit."""
        return self.folder / "revoked.yaml"

    def address(self, port: int) -> str:
        """Return `host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"


def read_kit(folder: str | Path) -> Kit:
    """Read a kit's kit.yaml.

    Raises:
        ConfigError: there is no kit, or its kit.yaml does not say what it must; the message names file and key.
    """
    place = Path(folder)
    if not place.is_dir():
        hint = "; unpack the archive first" if place.is_file() else ""
        raise ConfigError(f"{place}: expected a kit's folder, got no folder{hint}")
    return read_typed(place / KIT_FILE, Kit, "a kit's description", given={"folder": place})


def write_kit(kit: Kit) -> None:
    """Write a kit's kit.yaml into its folder."""
    content = {name: value for name, value in asdict(kit).items() if name != "folder"}
    write_plain(kit.folder / KIT_FILE, {**content, "party": str(kit.party)})


def check_name(name: str, key: str) -> None:
    """Refuse a name of a site or federation that could mean something in a path, a command or an archive.

    Raises:
        ConfigError: the name is not 1 to 63 ASCII letters, digits, `-` and `_`, the first a letter or digit.
    """
    wanted = "1 to 63 letters, digits, - and _, the first a letter or digit"
    require(_NAME.fullmatch(name) is not None, key, wanted, name)


def check_host(host: str, key: str) -> None:
    """Refuse what is neither a DNS name nor an IP address.

    Raises:
        ConfigError: as said; IPv6 addresses are written without brackets, and no port belongs here.
    """
    if is_address(host):
        return
    labels = host.split(".")
    named = len(host) <= 253 and all(_HOST_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit()
    if not named:
        raise ConfigError(f"{key}: expected a host name or an IP address, without a port, got {host!r}")


def is_address(host: str) -> bool:
    """Return whether a host is written as an IPv4 or IPv6 address."""
    try:
        return ipaddress.ip_address(host) is not None and "%" not in host
    except ValueError:
        return False
