"""The checks of `fedner provision check`. They change nothing, and connect to nobody but the server."""

import http.client
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from platform import python_version_tuple

from fedner.config.site import read_site
from fedner.data.checking import CheckReport
from fedner.deployment.preflight.findings import Finding, all_well, failed, ok, skipped, warning
from fedner.deployment.preflight.network import connection_to, reach, trusting
from fedner.deployment.preflight.registration import LARGEST_ANSWER, PATH, judge, question, unasked
from fedner.deployment.provisioning.certificates import issued_by, read_certificates, read_key_of
from fedner.deployment.provisioning.keys import read_private, read_public
from fedner.deployment.provisioning.kit import Kit, Party
from fedner.deployment.provisioning.signing import verify
from fedner.errors import FednerError
from fedner.learning.device import all_cores, resolve_device
from fedner.site.own_data import check_own_text

SOON = timedelta(days=30)
NEEDED_BYTES = 2 * 1024**3
"""Free disk space below which a party should not start: a BERT-base takes 0.4 GiB, and several copies lie there."""
AMPLE_BYTES = 10 * 1024**3
_ASK_AGAIN = "ask the coordinator for the kit again"


def preflight(kit: Kit, site_file: Path | None, now: Callable[[], datetime]) -> list[Finding]:
    """Check everything that the party of this kit needs.

    Args:
        kit: the party's.
        site_file: a site's site.yaml; None leaves its text out.
        now: this machine's clock.
    """
    found = [*_kit(kit), *_versions(kit), *_certificates(kit, now())]
    match kit.party:
        case Party.site:
            way = [_site_key(kit), *reach(kit.host, kit.ports.fleet, kit.ca_certificate, now)]
            found += [
                *way,
                _registered(kit, now) if all_well(way) else unasked(),
                *_text(kit, site_file),
                _gpu(site_file),
            ]
        case Party.server:
            found += [_server_key(kit), *_server_name(kit), *_ports(kit)]
        case Party.coordinator:
            found += [_server_key(kit), *reach(kit.host, kit.ports.control, kit.ca_certificate, now)]
    return [*found, _disk(kit.folder)]


def _kit(kit: Kit) -> Iterator[Finding]:
    try:
        verdict = verify(kit.folder)
    except FednerError as error:
        yield failed("kit", str(error), _ASK_AGAIN)
        return
    if not verdict.altered:
        yield ok("kit", f"{kit.name} of '{kit.federation}', as it was issued on {kit.issued:%Y-%m-%d}")
    for problem in verdict.altered:
        yield failed("kit", problem, _ASK_AGAIN)
    for path in verdict.exposed:
        yield failed("permissions", f"{path} can be read by others than its owner", f"run: chmod 600 {path}")


def _versions(kit: Kit) -> Iterator[Finding]:
    for package, issued in (("fedner", kit.fedner), ("flwr", kit.flwr)):
        here = version(package)
        if here == issued:
            yield ok(package, here)
        else:
            remedy = f"install {package} {issued}, or ask the coordinator for kits of {here}; all parties need the same"
            yield failed(package, f"{here}; the kit was issued for {issued}", remedy)
    here = ".".join(python_version_tuple()[:2])
    if here == kit.python:
        yield ok("python", here)
    else:
        remedy = "results may differ in the last bits from site to site; use the same Python if that matters"
        yield warning("python", f"{here}; the kit was issued for {kit.python}", remedy)


def _certificates(kit: Kit, now: datetime) -> Iterator[Finding]:
    paths = [kit.ca_certificate, *([] if kit.party is Party.site else [kit.server_certificate])]
    for path in paths:
        try:
            certificate = read_certificates(path)[0]
        except FednerError as error:
            yield failed(path.name, str(error), _ASK_AGAIN)
            continue
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        renew = "--server" if path == kit.server_certificate else "--ca"
        remedy = f"the coordinator runs `fedner provision rotate {renew}` and hands out new kits"
        if now < begins:
            yield failed(
                path.name,
                f"holds from {begins:%Y-%m-%d %H:%M} UTC on; the clock says {now:%Y-%m-%d %H:%M}",
                "set the clock",
            )
        elif now > ends:
            yield failed(path.name, f"expired on {ends:%Y-%m-%d}; the clock says {now:%Y-%m-%d}", remedy)
        elif now > ends - SOON:
            yield warning(path.name, f"holds until {ends:%Y-%m-%d}, {(ends - now).days} days", remedy)
        else:
            yield ok(path.name, f"holds until {ends:%Y-%m-%d}")


def _site_key(kit: Kit) -> Finding:
    path = kit.site_key
    if not path.exists():
        remedy = f"put the key that belongs to {kit.site_public_key.name} there: install -m 600 {path.name} {path}"
        return failed("key", f"{path}: no private key", remedy)
    try:
        same = read_private(path).public_key() == read_public(kit.site_public_key)
    except FednerError as error:
        return failed("key", str(error), "put the key that `fedner provision key` made there, or " + _ASK_AGAIN)
    if not same:
        remedy = "put the right one there; if it is lost, make a new one and have the coordinator rotate it"
        return failed("key", f"{path} is not the private key of {kit.site_public_key.name}", remedy)
    return ok("key", f"{path.name} belongs to {kit.site_public_key.name}")


def _registered(kit: Kit, now: Callable[[], datetime]) -> Finding:
    connection = connection_to(kit.host, kit.ports.fleet, kit.ca_certificate)
    try:
        connection.request("GET", PATH, headers=question(read_private(kit.site_key), now()))
        reply = connection.getresponse()
        return judge(reply.status, reply.read(LARGEST_ANSWER), str(kit.site))
    except (OSError, http.client.HTTPException):
        return unasked()
    finally:
        connection.close()


def _server_key(kit: Kit) -> Finding:
    if not kit.server_key.exists():
        return failed("key", f"{kit.server_key}: no private key", _ASK_AGAIN)
    try:
        certificate = read_certificates(kit.server_certificate)[0]
        read_key_of(certificate, kit.server_key)
        ours = issued_by(certificate, read_certificates(kit.ca_certificate))
    except FednerError as error:
        return failed("key", str(error), _ASK_AGAIN)
    if not ours:
        return failed("key", f"{kit.server_certificate} was not issued by an authority in ca.crt", _ASK_AGAIN)
    return ok("key", "server.key belongs to server.crt, which the authority issued")


def _server_name(kit: Kit) -> Iterator[Finding]:
    try:
        socket.getaddrinfo(kit.host, kit.ports.fleet, type=socket.SOCK_STREAM)
    except OSError:
        remedy = "sites need it: have it entered into DNS, or into each site's /etc/hosts"
        yield warning("name", f"{kit.host} has no address here", remedy)
    else:
        yield ok("name", f"{kit.host} has an address")


def _ports(kit: Kit) -> Iterator[Finding]:
    for name, port in vars(kit.ports).items():
        if _is_free(port):
            yield ok(f"port {port}", f"free for {name}")
        elif _is_running(kit):
            yield ok(f"port {port}", "in use; this federation's server is running")
        else:
            remedy = f"find out with `ss -ltnp 'sport = :{port}'` which process listens there, and stop one of the two"
            yield failed(f"port {port}", f"needed for {name}, but something else listens there", remedy)


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("", port)).close()
    except OSError:
        return False
    return True


def _is_running(kit: Kit) -> bool:
    """Return whether this federation's server answers at the sites' port."""
    try:
        with (
            socket.create_connection(("127.0.0.1", kit.ports.fleet), timeout=5) as plain,
            trusting(kit.ca_certificate).wrap_socket(plain, server_hostname="127.0.0.1"),
        ):
            return True
    except (OSError, ssl.SSLError):
        return False


def _text(kit: Kit, site_file: Path | None) -> Iterator[Finding]:
    if site_file is None:
        yield skipped("text", "not looked at; name the site file: --site site.yaml")
        return
    try:
        site = read_site(site_file)
        if site.site != kit.site:
            wanted = f"{site_file}: site: expected '{kit.site}', whose kit this is, got '{site.site}'"
            yield failed("site file", wanted, "use the site's own kit, or mend the name")
            return
        yield ok("site file", f"{site_file} is of '{site.site}'")
        yield from _report(check_own_text(site_file, kit.contract_file))
    except FednerError as error:
        yield failed("text", str(error), "mend what the line names; docs/your-own-data.md explains the formats")


def _report(report: CheckReport) -> Iterator[Finding]:
    remedy = "mend the file; `fedner data check` shows all that was read"
    for problem in (*report.problems, *(file.problem for file in report.files if file.problem)):
        yield failed("text", problem, remedy)
    for each in report.warnings:
        yield warning("text", each, "weigh whether that is so; nothing was left out")
    for file in report.files:
        if file.problem is None:
            entities = sum(file.entities.values())
            yield ok(
                "text",
                f"{file.split}: {file.documents:,} documents, {file.sentences:,} sentences, {entities:,} entities",
            )
            for each in file.warnings:
                yield warning("text", f"{file.split}: {each}", "weigh whether that is so")


def _gpu(site_file: Path | None) -> Finding:
    try:
        wanted = None if site_file is None else read_site(site_file).machine.device
    except FednerError:
        return skipped("GPU", "not looked at, since the site file cannot be read")
    try:
        device = resolve_device(wanted or "auto")
    except FednerError:
        remedy = "say in machine.device what there is, or leave it out; mend the driver if there should be one"
        return failed("GPU", f"the site file wants {wanted}, which PyTorch does not find here", remedy)
    if device.type != "cpu":
        return ok("GPU", f"PyTorch uses {device.type}")
    if Path("/dev/nvidia0").exists():
        remedy = "install the PyTorch build for the driver's CUDA version (`nvidia-smi` prints it)"
        return warning("GPU", "there is one, but PyTorch cannot use it", remedy)
    return ok("GPU", f"none; training runs on {all_cores()} cores")


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    space = f"{free / 1024**3:.1f} GiB free where the kit lies"
    if free < NEEDED_BYTES:
        return failed(
            "disk",
            space,
            f"make room: expected at least {NEEDED_BYTES // 1024**3} GiB, better {AMPLE_BYTES // 1024**3}",
        )
    if free < AMPLE_BYTES:
        return warning("disk", space, f"enough for small models; {AMPLE_BYTES // 1024**3} GiB are better")
    return ok("disk", space)
