"""The folder of a federation as the coordinator keeps it: what is read from it, and how each kit in it is written.

`coordinator/` is where everything is kept; the other kits are made from it.
"""

import shutil
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version_tuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

from fedner.config.suggesting import suggestion
from fedner.data.labels import read_contract
from fedner.deployment.provisioning.certificates import (
    Authority,
    certificate_fingerprint,
    certificate_pem,
    private_pem,
    read_authority,
    read_certificates,
)
from fedner.deployment.provisioning.federation_file import (
    FederationFile,
    Revocation,
    SiteEntry,
    read_federation,
    read_revoked,
    write_federation,
    write_revoked,
)
from fedner.deployment.provisioning.keys import fingerprint, private_text, public_line, read_public
from fedner.deployment.provisioning.kit import Kit, Party, write_kit
from fedner.deployment.provisioning.readme import TRANSITION, readme, site_example
from fedner.deployment.provisioning.signing import archive_of, seal
from fedner.errors import ConfigError
from fedner.files import write_private

CONTRACT = "contract.yaml"


@dataclass(frozen=True, kw_only=True)
class Office:
    """A federation's folder, and what its kits are written from."""

    folder: Path
    """The federation's folder, or the draft of it."""
    federation: FederationFile
    """What was decided."""
    authority: Authority = field(repr=False)
    """The certificate authority."""
    now: datetime
    """The moment that kits are issued at."""
    signer: Authority | None = field(default=None, repr=False)
    """Who signs the kits, if not `authority`: the one before it, which the sites trust already."""

    @property
    def home(self) -> Path:
        """The coordinator's kit."""
        return self.folder / "coordinator"

    def public_key(self, site: str) -> EllipticCurvePublicKey:
        """Return a site's public key."""
        return read_public(self.home / "sites" / f"{site}.pub")

    def revoked(self) -> tuple[Revocation, ...]:
        """Return the keys that were revoked, the oldest first."""
        return read_revoked(self.home / "revoked.yaml")

    def server_certificate(self) -> x509.Certificate:
        """Return the server's certificate."""
        return read_certificates(self.home / "server.crt")[0]

    def kits(self) -> tuple[str, ...]:
        """Return the names of all kits."""
        return ("coordinator", "server", *(f"site-{site.name}" for site in self.federation.sites))

    def known(self, site: str) -> SiteEntry:
        """Return a site's entry.

        Raises:
            ConfigError: there is no such site.
        """
        entry = self.federation.site(site)
        if entry is None:
            names = [each.name for each in self.federation.sites]
            raise ConfigError(
                f"--site: no site {site!r}{suggestion(site, names)}; sites are {', '.join(names) or 'none yet'}"
            )
        return entry


def open_office(folder: Path, now: datetime) -> Office:
    """Read the folder that kits were issued into.

    Raises:
        ConfigError: there is none, or something in it cannot be read.
    """
    home = folder / "coordinator"
    if not home.is_dir():
        raise ConfigError(
            f"{folder}: expected a federation's folder as `fedner provision` makes it, with coordinator/, got none"
        )
    authority = read_authority(home / "ca.crt", home / "ca.key")
    return Office(folder=folder, federation=read_federation(home / "federation.yaml"), authority=authority, now=now)


def found(office: Office, contract: Path) -> None:
    """Lay the ground: the label contract, the authority's key, no revocation yet."""
    (office.home / "sites").mkdir(parents=True)
    shutil.copyfile(contract, office.home / CONTRACT)
    write_authority(office)
    write_revoked(office.home / "revoked.yaml", ())


def write_authority(office: Office) -> None:
    """Write the authority's certificate and key, in place of those before."""
    key = office.home / "ca.key"
    key.unlink(missing_ok=True)
    write_private(key, private_pem(office.authority.key))
    (office.home / "ca.crt").write_bytes(office.authority.trusted_text())


def write_server(office: Office, certificate: x509.Certificate, key: EllipticCurvePrivateKey) -> None:
    """Write the server's certificate and key, in place of those before."""
    path = office.home / "server.key"
    path.unlink(missing_ok=True)
    write_private(path, private_pem(key))
    (office.home / "server.crt").write_bytes(certificate_pem(certificate))


def write_site_key(
    office: Office, site: str, public: EllipticCurvePublicKey, private: EllipticCurvePrivateKey | None
) -> None:
    """Write a site's key where the coordinator keeps it, the private one into the site's own kit alone."""
    (office.home / "sites" / f"{site}.pub").write_bytes(public_line(public, site))
    if private is not None:
        kit = office.folder / f"site-{site}"
        kit.mkdir()
        write_private(kit / f"{site}.key", private_text(private))


def forget_site(office: Office, site: str, reason: str) -> None:
    """Take a site's key and kit away, and write down why."""
    public = office.public_key(site)
    line = public_line(public, site).decode().strip()
    revocation = Revocation(
        site=site, key=line, fingerprint=fingerprint(public), reason=reason, revoked=office.now.replace(microsecond=0)
    )
    write_revoked(office.home / "revoked.yaml", (*office.revoked(), revocation))
    (office.home / "sites" / f"{site}.pub").unlink()
    kit = office.folder / f"site-{site}"
    shutil.rmtree(kit, ignore_errors=True)
    archive_of(kit).unlink(missing_ok=True)


def write_kits(office: Office, sites: tuple[str, ...] = ()) -> None:
    """Write the kits of the coordinator, the server and of some sites from what the coordinator keeps."""
    write_federation(office.home / "federation.yaml", office.federation)
    server = office.folder / "server"
    shutil.rmtree(server, ignore_errors=True)
    server.mkdir()
    for name in (CONTRACT, "ca.crt", "server.crt", "server.key", "revoked.yaml"):
        _copy(office.home / name, server / name)
    shutil.copytree(office.home / "sites", server / "sites", copy_function=_copy)
    _finish(office, Party.coordinator, None)
    _finish(office, Party.server, None)
    for site in sites:
        _write_site(office, site)


def _write_site(office: Office, site: str) -> None:
    kit = office.folder / f"site-{site}"
    kit.mkdir(exist_ok=True)
    for name in (CONTRACT, "ca.crt"):
        _copy(office.home / name, kit / name)
    _copy(office.home / "sites" / f"{site}.pub", kit / f"{site}.pub")
    (kit / "site.example.yaml").write_text(site_example(site), encoding="utf-8")
    _finish(office, Party.site, site)


def _finish(office: Office, party: Party, site: str | None) -> None:
    ca = office.authority.certificate
    until = ca.not_valid_after_utc
    kit = Kit(
        folder=office.folder / (f"site-{site}" if site else str(party)),
        federation=office.federation.name,
        party=party,
        site=site,
        host=office.federation.server.hosts[0],
        ports=office.federation.server.ports,
        contract_hash=read_contract(office.home / CONTRACT).digest,
        fedner=version("fedner"),
        flwr=version("flwr"),
        python=".".join(python_version_tuple()[:2]),
        issued=office.now.replace(microsecond=0),
        valid_until=until if site else min(until, office.server_certificate().not_valid_after_utc),
    )
    write_kit(kit)
    fingerprint_of_ca = certificate_fingerprint(ca)
    (kit.folder / "README.md").write_text(readme(kit, fingerprint_of_ca, kit.site_key.exists()), encoding="utf-8")
    note = kit.folder / "TRANSITION.md"
    note.unlink(missing_ok=True)
    if office.authority.previous:
        note.write_text(TRANSITION.format(fingerprint=fingerprint_of_ca, federation=kit.federation), encoding="utf-8")
    seal(kit.folder, office.signer or office.authority)


def _copy(source: str | Path, target: str | Path) -> None:
    """Copy a file, and its mode before its content, so that a private key is private from the first byte on."""
    Path(target).unlink(missing_ok=True)
    Path(target).touch(mode=Path(source).stat().st_mode & 0o777)
    shutil.copyfile(source, target)
