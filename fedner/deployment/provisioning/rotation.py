"""Keys and certificates replaced while a federation lives: a site's key, the server's certificate, the authority."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from fedner.deployment.provisioning.certificates import certified, hosts_of, issue_server, issued_by, make_authority
from fedner.deployment.provisioning.federation_file import ServerEntry
from fedner.deployment.provisioning.federation_folder import (
    Office,
    forget_site,
    open_office,
    write_authority,
    write_kits,
    write_server,
)
from fedner.deployment.provisioning.issuing import Outcome, admit, outcome, without
from fedner.deployment.provisioning.keys import read_public
from fedner.deployment.provisioning.transaction import held, redrafted
from fedner.errors import ConfigError

DUE = timedelta(days=30)
"""A server certificate that holds no longer than this is due to be replaced."""


def rotate_site(folder: Path, site: str, public_key: Path | None, now: datetime) -> Outcome:
    """Replace a site's key, and revoke the one before.

    Args:
        folder: the federation's.
        site: the site's name.
        public_key: the new public key that the site made; None makes a key pair here.
        now: the present moment.

    Raises:
        ConfigError: there is no such site, or the new key is another site's or was revoked.
    """
    given = None if public_key is None else read_public(public_key)
    with held(folder):
        office = open_office(folder, now)
        name = office.known(site).name
        if given is not None and given == office.public_key(name):
            return outcome(office, folder, f"site '{name}' has this key already; nothing was changed")
        with redrafted(folder) as draft:
            office = replace(office, folder=draft)
            forget_site(office, name, "replaced by a new key")
            write_kits(admit(without(office, name), name, given), (name,))
    return outcome(office, folder, f"replaced the key of site '{name}'", ("coordinator", "server", f"site-{name}"))


def rotate_server(folder: Path, hosts: tuple[str, ...], force: bool, now: datetime) -> Outcome:
    """Issue a new certificate and key to the server, if that is due.

    It is due when the certificate holds 30 days at most, when the hosts change, or when the authority has.

    Args:
        folder: the federation's.
        hosts: the server's names and addresses from now on; empty keeps those it has.
        force: issue also when it is not due, as after a theft of the key.
        now: the present moment.

    Raises:
        ConfigError: a host is neither a name nor an address.
    """
    with held(folder):
        office = open_office(folder, now)
        before = office.federation.server
        server = ServerEntry(hosts=hosts, ports=before.ports) if hosts else before
        if not force and not _due(office, server):
            until = f"{office.server_certificate().not_valid_after_utc:%Y-%m-%d}"
            said = f"the server's certificate holds until {until}; nothing was changed (--force issues a new one)"
            return outcome(office, folder, said)
        moved = server.hosts[0] != before.hosts[0]
        with redrafted(folder) as draft:
            federation = replace(office.federation, server=server)
            office = replace(office, folder=draft, federation=federation)
            days = federation.valid_days
            write_server(office, *issue_server(office.authority, federation.name, server.hosts, days, now))
            write_kits(office, _site_names(office) if moved else ())
    return outcome(office, folder, "issued a new server certificate", office.kits() if moved else office.kits()[:2])


def rotate_authority(folder: Path, now: datetime) -> Outcome:
    """Begin to replace the authority: all kits trust both from now on, and say in TRANSITION.md what comes next.

    Raises:
        ConfigError: there is no such federation.
    """
    with held(folder):
        office = open_office(folder, now)
        before = office.authority
        if before.previous:
            return outcome(office, folder, "the authority is being replaced already; nothing was changed")
        fresh = make_authority(office.federation.name, office.federation.ca_valid_days, now)
        office = replace(office, authority=replace(fresh, previous=(before.certificate,)), signer=before)
        _rewrite_all(office, folder)
    return outcome(
        office, folder, "made a new authority; TRANSITION.md in each kit says what comes next", office.kits()
    )


def finish_authority(folder: Path, now: datetime) -> Outcome:
    """End the replacement of the authority: all kits trust the new one alone.

    Raises:
        ConfigError: the server still has a certificate of the authority before.
    """
    with held(folder):
        office = open_office(folder, now)
        if not office.authority.previous:
            return outcome(office, folder, "the authority is not being replaced; nothing was changed")
        if not issued_by(office.server_certificate(), [office.authority.certificate]):
            raise ConfigError(
                f"{folder}: expected a server certificate of the new authority, got one of the authority before; run "
                "`fedner provision rotate --server` and replace the server's kit first"
            )
        office = replace(office, authority=replace(office.authority, previous=()))
        _rewrite_all(office, folder)
    return outcome(office, folder, "the authority before is trusted no more", office.kits())


def _due(office: Office, server: ServerEntry) -> bool:
    certificate = office.server_certificate()
    return (
        server.hosts[0] != office.federation.server.hosts[0]
        or set(hosts_of(certificate)) != set(certified(server.hosts))
        or certificate.not_valid_after_utc <= office.now + DUE
        or not issued_by(certificate, [office.authority.certificate])
    )


def _rewrite_all(office: Office, folder: Path) -> None:
    with redrafted(folder) as draft:
        drafted = replace(office, folder=draft)
        write_authority(drafted)
        write_kits(drafted, _site_names(office))


def _site_names(office: Office) -> tuple[str, ...]:
    return tuple(site.name for site in office.federation.sites)
