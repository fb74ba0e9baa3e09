"""Kits: issued from federation.yaml, and changed later without touching the kits that a change does not concern.

    OUT/NAME/  coordinator/  coordinator.tar.gz    holds everything that later changes start from
               server/       server.tar.gz         what the server's machine needs of it
               site-NAME/    site-NAME.tar.gz      for the site; may be deleted here once it has arrived

Every change is whole or not there (`swap`). Asked again for what is done already, each says so and changes nothing.
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
    Office,
    forget_site,
    found,
    open_office,
    write_kits,
    write_server,
    write_site_key,
)
from fedner.deployment.provisioning.keys import fingerprint, make_key, read_public
from fedner.deployment.provisioning.kit import check_name
from fedner.deployment.provisioning.transaction import held, redrafted
from fedner.errors import ConfigError


@dataclass(frozen=True)
class Outcome:
    """What a command did, in a sentence; the kits to hand over; the authority's fingerprint."""

    said: str
    folder: Path
    fingerprint: str
    kits: tuple[str, ...] = ()


def outcome(office: Office, folder: Path, said: str, kits: tuple[str, ...] = ()) -> Outcome:
    """Return what a command did; no kits if nothing was changed."""
    return Outcome(said, folder, certificate_fingerprint(office.authority.certificate), kits)


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
    with held(folder):
        if folder.exists():
            office = open_office(folder, now)
            _require_same(office, federation, contract, given)
            return outcome(office, folder, f"'{federation.name}' was issued already; nothing was changed")
        with redrafted(folder) as draft:
            authority = make_authority(federation.name, federation.ca_valid_days, now)
            hosts, days = federation.server.hosts, federation.valid_days
            empty = replace(federation, sites=(), contract=CONTRACT)
            office = Office(folder=draft, federation=empty, authority=authority, now=now)
            found(office, contract)
            write_server(office, *issue_server(authority, federation.name, hosts, days, now))
            for site in federation.sites:
                office = admit(office, site.name, given.get(site.name))
            write_kits(office, tuple(site.name for site in office.federation.sites))
    return outcome(office, folder, f"issued {len(office.kits())} kits", office.kits())


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
    with held(folder):
        office = open_office(folder, now)
        there = office.federation.site(site)
        if there is not None and there.name != site:
            raise ConfigError(
                f"--site: '{site}' differs from '{there.name}', which is there, in upper and lower case only"
            )
        if there is not None and given is not None and given != office.public_key(site):
            raise ConfigError(
                f"--site: '{site}' is there with another key; `fedner provision rotate --site {site}` replaces it"
            )
        if there is not None:
            return outcome(office, folder, f"site '{site}' is there already; nothing was changed")
        with redrafted(folder) as draft:
            write_kits(admit(replace(office, folder=draft), site, given), (site,))
    return outcome(office, folder, f"added site '{site}'", ("coordinator", "server", f"site-{site}"))


def revoke(folder: Path, site: str, reason: str, now: datetime) -> Outcome:
    """Take a site out, and write down that its key must not register any more, why and when.

    Raises:
        ConfigError: there is no such site and never was, or no reason is given.
    """
    if not reason.strip():
        raise ConfigError("--reason: expected a sentence for those who ask later why, got none")
    with held(folder):
        office = open_office(folder, now)
        earlier = [each for each in office.revoked() if each.site.casefold() == site.casefold()]
        if office.federation.site(site) is None and earlier:
            when = f"{earlier[-1].revoked:%Y-%m-%d}"
            return outcome(office, folder, f"site '{site}' was revoked on {when} already; nothing was changed")
        name = office.known(site).name
        with redrafted(folder) as draft:
            office = replace(office, folder=draft)
            forget_site(office, name, reason.strip())
            write_kits(without(office, name))
    return outcome(office, folder, f"revoked site '{name}'", ("coordinator", "server"))


def admit(office: Office, site: str, given: EllipticCurvePublicKey | None) -> Office:
    """Write a new site's key and return the office with the site in it.

    Args:
        office: of a draft.
        site: the site's name.
        given: the public key that the site made; None makes a key pair.

    Raises:
        ConfigError: the key is another site's or was revoked.
    """
    private = make_key()
    public = private.public_key() if given is None else given
    mark = fingerprint(public)
    for other in office.federation.sites:
        if office.public_key(other.name) == public:
            raise ConfigError(f"site '{site}': expected a key of its own, got that of site '{other.name}' ({mark})")
    for each in office.revoked():
        if each.fingerprint == mark:
            raise ConfigError(
                f"site '{site}': expected a new key, got {mark}, which was revoked on {each.revoked:%Y-%m-%d}"
            )
    write_site_key(office, site, public, private if given is None else None)
    entry = SiteEntry(name=site, public_key=None if given is None else f"sites/{site}.pub")
    sites = tuple(sorted((*office.federation.sites, entry), key=lambda each: each.name))
    return replace(office, federation=replace(office.federation, sites=sites))


def without(office: Office, site: str) -> Office:
    """Return the office with a site less."""
    sites = tuple(each for each in office.federation.sites if each.name != site)
    return replace(office, federation=replace(office.federation, sites=sites))


def _require_same(
    office: Office, federation: FederationFile, contract: Path, given: dict[str, EllipticCurvePublicKey]
) -> None:
    """Refuse to issue a federation again that has become another since."""
    there = office.federation
    differences = [
        (there.server != federation.server, "server"),
        (there.valid_days != federation.valid_days, "valid_days"),
        (there.ca_valid_days != federation.ca_valid_days, "ca_valid_days"),
        (read_contract(office.home / CONTRACT).digest != read_contract(contract).digest, "contract"),
        ({site.name for site in there.sites} != {site.name for site in federation.sites}, "sites"),
        (any(office.public_key(site) != key for site, key in given.items() if there.site(site)), "public_key"),
    ]
    different = ", ".join(name for differs, name in differences if differs)
    if different:
        raise ConfigError(
            f"{office.folder}: '{there.name}' was issued already and differs in {different}; change it with `fedner "
            "provision add`, `revoke` and `rotate`, or choose another name or --out"
        )
