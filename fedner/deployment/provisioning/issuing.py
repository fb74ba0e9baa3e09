"""Kits: issued from federation.yaml, and changed later without touching the kits that a change does not concern.

    OUT/NAME/  coordinator/  coordinator.tar.gz    holds everything that later changes start from
               server/       server.tar.gz         what the server's machine needs of it
               site-NAME/    site-NAME.tar.gz      for the site; may be deleted here once it has arrived

Every change is a transaction. A command that finds its work done says so and changes nothing.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from fedner.data.labels import read_contract
from fedner.deployment.provisioning.certificates import certificate_fingerprint, issue_server, make_authority
from fedner.deployment.provisioning.federation_file import FederationFile, SiteEntry, read_federation
from fedner.deployment.provisioning.federation_folder import (
    CONTRACT,
    FederationFolder,
    create_folder,
    forget_site,
    open_folder,
    write_kits,
    write_server,
    write_site_key,
)
from fedner.deployment.provisioning.keys import fingerprint, make_key, read_public
from fedner.deployment.provisioning.kit import check_name
from fedner.deployment.provisioning.transaction import locked, staged_copy
from fedner.errors import ConfigError


@dataclass(frozen=True)
class Outcome:
    """The result of a command: a sentence, the kits to hand over, the authority's fingerprint."""

    said: str
    folder: Path
    fingerprint: str
    kits: tuple[str, ...] = ()


def outcome(issued: FederationFolder, folder: Path, said: str, kits: tuple[str, ...] = ()) -> Outcome:
    """Return what a command did; no kits if nothing was changed."""
    return Outcome(said, folder, certificate_fingerprint(issued.authority.certificate), kits)


def issue(federation_file: Path, out: Path, now: datetime) -> Outcome:
    """Make an authority, the server's certificate, the sites' keys and a kit for each party.

    Args:
        federation_file: federation.yaml.
        out: the folder that the federation's folder is made in.
        now: the present moment.

    Raises:
        InputError: federation.yaml or a file that it names is at fault, or the federation is there and is another.
    """
    federation = read_federation(federation_file)
    contract = federation_file.parent / federation.contract
    read_contract(contract)
    given = {
        site.name: read_public(federation_file.parent / site.public_key)
        for site in federation.sites
        if site.public_key is not None
    }
    folder = out / federation.name
    with locked(folder):
        if folder.exists():
            issued = open_folder(folder, now)
            _require_same(issued, federation, contract, given)
            return outcome(issued, folder, f"'{federation.name}' was issued already; nothing was changed")
        with staged_copy(folder) as staged:
            authority = make_authority(federation.name, federation.ca_valid_days, now)
            hosts, days = federation.server.hosts, federation.valid_days
            empty = replace(federation, sites=(), contract=CONTRACT)
            issued = FederationFolder(folder=staged, federation=empty, authority=authority, now=now)
            create_folder(issued, contract)
            write_server(issued, *issue_server(authority, federation.name, hosts, days, now))
            for site in federation.sites:
                issued = admit(issued, site.name, given.get(site.name))
            write_kits(issued, tuple(site.name for site in issued.federation.sites))
    return outcome(issued, folder, f"issued {len(issued.kits())} kits", issued.kits())


def add(folder: Path, site: str, public_key: Path | None, now: datetime) -> Outcome:
    """Admit a site; the kits of other sites stay as they are.

    Args:
        folder: the federation's.
        site: the new site's name.
        public_key: the public key that the site made; None makes a key pair here.
        now: the present moment.

    Raises:
        ConfigError: a site of that name has another key, or the key is another site's or was revoked.
    """
    check_name(site, "--site")
    given = None if public_key is None else read_public(public_key)
    with locked(folder):
        issued = open_folder(folder, now)
        there = issued.federation.site(site)
        if there is not None and there.name != site:
            raise ConfigError(
                f"--site: '{site}' differs from '{there.name}', which is there, in upper and lower case only"
            )
        if there is not None and given is not None and given != issued.public_key(site):
            raise ConfigError(
                f"--site: '{site}' is there with another key; `fedner provision rotate --site {site}` replaces it"
            )
        if there is not None:
            return outcome(issued, folder, f"site '{site}' is there already; nothing was changed")
        with staged_copy(folder) as staged:
            write_kits(admit(replace(issued, folder=staged), site, given), (site,))
    return outcome(issued, folder, f"added site '{site}'", ("coordinator", "server", f"site-{site}"))


def revoke(folder: Path, site: str, reason: str, now: datetime) -> Outcome:
    """Remove a site, and record that its key must not register any more, with reason and time.

    Raises:
        ConfigError: there is no such site and never was, or no reason is given.
    """
    if not reason.strip():
        raise ConfigError("--reason: expected a sentence for those who ask later why, got none")
    with locked(folder):
        issued = open_folder(folder, now)
        earlier = [each for each in issued.revoked() if each.site.casefold() == site.casefold()]
        if issued.federation.site(site) is None and earlier:
            when = f"{earlier[-1].revoked:%Y-%m-%d}"
            return outcome(issued, folder, f"site '{site}' was revoked on {when} already; nothing was changed")
        name = issued.known(site).name
        with staged_copy(folder) as staged:
            issued = replace(issued, folder=staged)
            forget_site(issued, name, reason.strip())
            write_kits(without(issued, name))
    return outcome(issued, folder, f"revoked site '{name}'", ("coordinator", "server"))


def admit(issued: FederationFolder, site: str, given: EllipticCurvePublicKey | None) -> FederationFolder:
    """Write a new site's key and return the federation with the site in it.

    Args:
        issued: with a staged copy as its folder.
        site: the site's name.
        given: the public key that the site made; None makes a key pair.

    Raises:
        ConfigError: the key is another site's or was revoked.
    """
    private = make_key()
    public = private.public_key() if given is None else given
    mark = fingerprint(public)
    for other in issued.federation.sites:
        if issued.public_key(other.name) == public:
            raise ConfigError(f"site '{site}': expected a key of its own, got that of site '{other.name}' ({mark})")
    for each in issued.revoked():
        if each.fingerprint == mark:
            raise ConfigError(
                f"site '{site}': expected a new key, got {mark}, which was revoked on {each.revoked:%Y-%m-%d}"
            )
    write_site_key(issued, site, public, private if given is None else None)
    entry = SiteEntry(name=site, public_key=None if given is None else f"sites/{site}.pub")
    sites = tuple(sorted((*issued.federation.sites, entry), key=lambda each: each.name))
    return replace(issued, federation=replace(issued.federation, sites=sites))


def without(issued: FederationFolder, site: str) -> FederationFolder:
    """Return the federation without a site."""
    sites = tuple(each for each in issued.federation.sites if each.name != site)
    return replace(issued, federation=replace(issued.federation, sites=sites))


def _require_same(
    issued: FederationFolder, federation: FederationFile, contract: Path, given: dict[str, EllipticCurvePublicKey]
) -> None:
    """Refuse to issue a federation again that has become another since."""
    there = issued.federation
    differences = [
        (there.server != federation.server, "server"),
        (there.valid_days != federation.valid_days, "valid_days"),
        (there.ca_valid_days != federation.ca_valid_days, "ca_valid_days"),
        (read_contract(issued.home / CONTRACT).digest != read_contract(contract).digest, "contract"),
        ({site.name for site in there.sites} != {site.name for site in federation.sites}, "sites"),
        (any(issued.public_key(site) != key for site, key in given.items() if there.site(site)), "public_key"),
    ]
    different = ", ".join(name for differs, name in differences if differs)
    if different:
        raise ConfigError(
            f"{issued.folder}: '{there.name}' was issued already and differs in {different}; change it with `fedner "
            "provision add`, `revoke` and `rotate`, or choose another name or --out"
        )
