"""federation.yaml: what the coordinator writes down before kits are issued; and the keys that were revoked since."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from fedner.config.checks import require
from fedner.config.typed import read_typed, write_plain
from fedner.deployment.provisioning.kit import Ports, check_host, check_name

MAX_DAYS = 825
"""Longest life of a server certificate: what TLS clients at large accept of a private authority."""
MAX_CA_DAYS = 7305


@dataclass(frozen=True, kw_only=True)
class ServerEntry:
    """The machine that the sites connect to."""

    hosts: tuple[str, ...]
    """Its names and IP addresses; the first is the one that sites connect to, all stand in its certificate."""
    ports: Ports = field(default_factory=Ports)
    """Its ports."""

    def __post_init__(self) -> None:
        require(len(self.hosts) > 0, "server.hosts", "at least one host name or IP address", "none")
        for index, host in enumerate(self.hosts):
            check_host(host, f"server.hosts[{index}]")
        folded = [host.casefold() for host in self.hosts]
        for index, host in enumerate(folded):
            require(host not in folded[:index], f"server.hosts[{index}]", "each host once", self.hosts[index])


@dataclass(frozen=True, kw_only=True)
class SiteEntry:
    """One institution."""

    name: str
    """Its name: 1 to 63 letters, digits, - and _."""
    public_key: str | None = None
    """File with the public key that the site made (`fedner provision key`), seen from federation.yaml; null makes a key
    pair here."""


@dataclass(frozen=True, kw_only=True)
class FederationFile:
    """What the coordinator decides."""

    name: str
    """The federation's name: 1 to 63 letters, digits, - and _."""
    server: ServerEntry
    """The machine that the sites connect to."""
    contract: str
    """The label contract's YAML file, seen from federation.yaml."""
    sites: tuple[SiteEntry, ...] = ()
    """The institutions; more can be added later."""
    valid_days: int = 365
    """Days that the server's certificate holds (1 to 825)."""
    ca_valid_days: int = 1826
    """Days that the authority's certificate holds (at least `valid_days`, at most 7305)."""

    def __post_init__(self) -> None:
        check_name(self.name, "name")
        seen: dict[str, int] = {}
        for index, site in enumerate(self.sites):
            key = f"sites[{index}].name"
            check_name(site.name, key)
            # Upper and lower case alike, since some file systems do not tell them apart.
            other = seen.setdefault(site.name.casefold(), index)
            require(other == index, key, f"another name than sites[{other}]'s, upper and lower case alike", site.name)
        require(1 <= self.valid_days <= MAX_DAYS, "valid_days", f"1 to {MAX_DAYS} days", self.valid_days)
        in_range = self.valid_days <= self.ca_valid_days <= MAX_CA_DAYS
        require(in_range, "ca_valid_days", f"{self.valid_days} (valid_days) to {MAX_CA_DAYS} days", self.ca_valid_days)

    def site(self, name: str) -> SiteEntry | None:
        """Return a site's entry, upper and lower case alike; None if there is none."""
        return next((site for site in self.sites if site.name.casefold() == name.casefold()), None)


@dataclass(frozen=True, kw_only=True)
class Revocation:
    """A public key that may not register any more."""

    site: str
    """Whose it was."""
    key: str
    """The public key, one OpenSSH line."""
    fingerprint: str
    """Its fingerprint, as `ssh-keygen -l` prints it."""
    reason: str
    """Why, in a sentence; kept at the coordinator and the server."""
    revoked: datetime
    """When."""


@dataclass(frozen=True, kw_only=True)
class _Revocations:
    revoked: tuple[Revocation, ...] = ()


def read_federation(path: Path) -> FederationFile:
    """Read federation.yaml.

    Raises:
        ConfigError: the file is missing or no such YAML, a key is unknown, or a value is ill-typed or out of range; the
            message names file and key.
    """
    return read_typed(path, FederationFile, "a federation file (name, server, contract, sites)")


def write_federation(path: Path, federation: FederationFile) -> None:
    """Write federation.yaml as it is kept in the coordinator's kit."""
    sites = [{"name": site.name, "public_key": site.public_key} for site in federation.sites]
    ports = federation.server.ports
    content = {
        "name": federation.name,
        "server": {"hosts": list(federation.server.hosts), "ports": dict(vars(ports))},
        "contract": federation.contract,
        "sites": sites,
        "valid_days": federation.valid_days,
        "ca_valid_days": federation.ca_valid_days,
    }
    write_plain(path, content, "Kept by fedner; change it with `fedner provision add`, `revoke` and `rotate`.")


def read_revoked(path: Path) -> tuple[Revocation, ...]:
    """Read revoked.yaml, the oldest first.

    Raises:
        ConfigError: as `read_federation`.
    """
    return read_typed(path, _Revocations, "a list of revoked keys").revoked


def write_revoked(path: Path, revoked: tuple[Revocation, ...]) -> None:
    """Write revoked.yaml."""
    write_plain(path, {"revoked": [dict(vars(each)) for each in revoked]}, "Public keys that must not register.")
