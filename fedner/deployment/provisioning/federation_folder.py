"""The coordinator's folder of a federation: reads it, and writes the kits in it.

`coordinator/` holds the whole state; the other kits are made from it.
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
class FederationFolder:
    """The state of a federation as its coordinator keeps it, from which kits are written."""

    folder: Path
    """The federation's folder, or the staged copy of it."""
    federation: FederationFile
    """Names, hosts, ports, sites and validity, as in federation.yaml."""
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


def open_folder(folder: Path, now: datetime) -> FederationFolder:
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
    return FederationFolder(
        folder=folder, federation=read_federation(home / "federation.yaml"), authority=authority, now=now
    )


def create_folder(issued: FederationFolder, contract: Path) -> None:
    """Write the initial state: the label contract, the authority's key, an empty list of revocations."""
    (issued.home / "sites").mkdir(parents=True)
    shutil.copyfile(contract, issued.home / CONTRACT)
    write_authority(issued)
    write_revoked(issued.home / "revoked.yaml", ())


def write_authority(issued: FederationFolder) -> None:
    """Write the authority's certificate and key, in place of those before."""
    key = issued.home / "ca.key"
    key.unlink(missing_ok=True)
    write_private(key, private_pem(issued.authority.key))
    (issued.home / "ca.crt").write_bytes(issued.authority.trusted_text())


def write_server(issued: FederationFolder, certificate: x509.Certificate, key: EllipticCurvePrivateKey) -> None:
    """Write the server's certificate and key, in place of those before."""
    path = issued.home / "server.key"
    path.unlink(missing_ok=True)
    write_private(path, private_pem(key))
    (issued.home / "server.crt").write_bytes(certificate_pem(certificate))


def write_site_key(
    issued: FederationFolder, site: str, public: EllipticCurvePublicKey, private: EllipticCurvePrivateKey | None
) -> None:
    """Write a site's key where the coordinator keeps it, the private one into the site's own kit alone."""
    (issued.home / "sites" / f"{site}.pub").write_bytes(public_line(public, site))
    if private is not None:
        kit = issued.folder / f"site-{site}"
        kit.mkdir()
        write_private(kit / f"{site}.key", private_text(private))


def forget_site(issued: FederationFolder, site: str, reason: str) -> None:
    """Delete a site's key and kit, and record the revocation with its reason."""
    public = issued.public_key(site)
    line = public_line(public, site).decode().strip()
    revocation = Revocation(
        site=site, key=line, fingerprint=fingerprint(public), reason=reason, revoked=issued.now.replace(microsecond=0)
    )
    write_revoked(issued.home / "revoked.yaml", (*issued.revoked(), revocation))
    (issued.home / "sites" / f"{site}.pub").unlink()
    kit = issued.folder / f"site-{site}"
    shutil.rmtree(kit, ignore_errors=True)
    archive_of(kit).unlink(missing_ok=True)


def write_kits(issued: FederationFolder, sites: tuple[str, ...] = ()) -> None:
    """Write the kits of the coordinator, the server and of some sites from what the coordinator keeps."""
    write_federation(issued.home / "federation.yaml", issued.federation)
    server = issued.folder / "server"
    shutil.rmtree(server, ignore_errors=True)
    server.mkdir()
    for name in (CONTRACT, "ca.crt", "server.crt", "server.key", "revoked.yaml"):
        _copy(issued.home / name, server / name)
    shutil.copytree(issued.home / "sites", server / "sites", copy_function=_copy)
    _finish(issued, Party.coordinator, None)
    _finish(issued, Party.server, None)
    for site in sites:
        _write_site(issued, site)


def _write_site(issued: FederationFolder, site: str) -> None:
    kit = issued.folder / f"site-{site}"
    kit.mkdir(exist_ok=True)
    for name in (CONTRACT, "ca.crt"):
        _copy(issued.home / name, kit / name)
    _copy(issued.home / "sites" / f"{site}.pub", kit / f"{site}.pub")
    (kit / "site.example.yaml").write_text(site_example(site), encoding="utf-8")
    _finish(issued, Party.site, site)


def _finish(issued: FederationFolder, party: Party, site: str | None) -> None:
    ca = issued.authority.certificate
    until = ca.not_valid_after_utc
    kit = Kit(
        folder=issued.folder / (f"site-{site}" if site else str(party)),
        federation=issued.federation.name,
        party=party,
        site=site,
        host=issued.federation.server.hosts[0],
        ports=issued.federation.server.ports,
        contract_hash=read_contract(issued.home / CONTRACT).digest,
        fedner=version("fedner"),
        flwr=version("flwr"),
        python=".".join(python_version_tuple()[:2]),
        issued=issued.now.replace(microsecond=0),
        valid_until=until if site else min(until, issued.server_certificate().not_valid_after_utc),
    )
    write_kit(kit)
    fingerprint_of_ca = certificate_fingerprint(ca)
    (kit.folder / "README.md").write_text(readme(kit, fingerprint_of_ca, kit.site_key.exists()), encoding="utf-8")
    note = kit.folder / "TRANSITION.md"
    note.unlink(missing_ok=True)
    if issued.authority.previous:
        note.write_text(TRANSITION.format(fingerprint=fingerprint_of_ca, federation=kit.federation), encoding="utf-8")
    seal(kit.folder, issued.signer or issued.authority)


def _copy(source: str | Path, target: str | Path) -> None:
    """Copy a file, and its mode before its content, so that a private key is private from the first byte on."""
    Path(target).unlink(missing_ok=True)
    Path(target).touch(mode=Path(source).stat().st_mode & 0o777)
    shutil.copyfile(source, target)
