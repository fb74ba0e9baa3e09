"""Keys and certificates replaced while a federation lives: a site's key, the server's certificate, the authority."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from fedner.deployment.provisioning.certificates import certified, hosts_of, issue_server, issued_by, make_authority
from fedner.deployment.provisioning.federation_file import ServerEntry
from fedner.deployment.provisioning.federation_folder import (
    FederationFolder,
    forget_site,
    open_folder,
    write_authority,
    write_kits,
    write_server,
)
from fedner.deployment.provisioning.issuing import Outcome, admit, outcome, without
from fedner.deployment.provisioning.keys import read_public
from fedner.deployment.provisioning.transaction import locked, staged_copy
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
    with locked(folder):
        issued = open_folder(folder, now)
        name = issued.known(site).name
        if given is not None and given == issued.public_key(name):
            return outcome(issued, folder, f"site '{name}' has this key already; nothing was changed")
        with staged_copy(folder) as staged:
            issued = replace(issued, folder=staged)
            forget_site(issued, name, "replaced by a new key")
            write_kits(admit(without(issued, name), name, given), (name,))
    return outcome(issued, folder, f"replaced the key of site '{name}'", ("coordinator", "server", f"site-{name}"))


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
    with locked(folder):
        issued = open_folder(folder, now)
        before = issued.federation.server
        server = ServerEntry(hosts=hosts, ports=before.ports) if hosts else before
        if not force and not _due(issued, server):
            until = f"{issued.server_certificate().not_valid_after_utc:%Y-%m-%d}"
            said = f"the server's certificate holds until {until}; nothing was changed (--force issues a new one)"
            return outcome(issued, folder, said)
        moved = server.hosts[0] != before.hosts[0]
        with staged_copy(folder) as staged:
            federation = replace(issued.federation, server=server)
            issued = replace(issued, folder=staged, federation=federation)
            days = federation.valid_days
            write_server(issued, *issue_server(issued.authority, federation.name, server.hosts, days, now))
            write_kits(issued, _site_names(issued) if moved else ())
    return outcome(issued, folder, "issued a new server certificate", issued.kits() if moved else issued.kits()[:2])


def rotate_authority(folder: Path, now: datetime) -> Outcome:
    """Begin to replace the authority: all kits trust both from now on, and say in TRANSITION.md what comes next.

    Raises:
        ConfigError: there is no such federation.
    """
    with locked(folder):
        issued = open_folder(folder, now)
        before = issued.authority
        if before.previous:
            return outcome(issued, folder, "the authority is being replaced already; nothing was changed")
        fresh = make_authority(issued.federation.name, issued.federation.ca_valid_days, now)
        issued = replace(issued, authority=replace(fresh, previous=(before.certificate,)), signer=before)
        _rewrite_all(issued, folder)
    return outcome(
        issued, folder, "made a new authority; TRANSITION.md in each kit says what comes next", issued.kits()
    )


def finish_authority(folder: Path, now: datetime) -> Outcome:
    """End the replacement of the authority: all kits trust the new one alone.

    Raises:
        ConfigError: the server still has a certificate of the authority before.
    """
    with locked(folder):
        issued = open_folder(folder, now)
        if not issued.authority.previous:
            return outcome(issued, folder, "the authority is not being replaced; nothing was changed")
        if not issued_by(issued.server_certificate(), [issued.authority.certificate]):
            raise ConfigError(
                f"{folder}: expected a server certificate of the new authority, got one of the authority before; run "
                "`fedner provision rotate --server` and replace the server's kit first"
            )
        issued = replace(issued, authority=replace(issued.authority, previous=()))
        _rewrite_all(issued, folder)
    return outcome(issued, folder, "the authority before is trusted no more", issued.kits())


def _due(issued: FederationFolder, server: ServerEntry) -> bool:
    certificate = issued.server_certificate()
    return (
        server.hosts[0] != issued.federation.server.hosts[0]
        or set(hosts_of(certificate)) != set(certified(server.hosts))
        or certificate.not_valid_after_utc <= issued.now + DUE
        or not issued_by(certificate, [issued.authority.certificate])
    )


def _rewrite_all(issued: FederationFolder, folder: Path) -> None:
    with staged_copy(folder) as staged:
        drafted = replace(issued, folder=staged)
        write_authority(drafted)
        write_kits(drafted, _site_names(issued))


def _site_names(issued: FederationFolder) -> tuple[str, ...]:
    return tuple(site.name for site in issued.federation.sites)
