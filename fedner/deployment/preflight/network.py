"""Checks that the server is reachable and authentic, and that the clocks agree.

Looked at in the order in which a connection is made, so that the first failure is the cause. Where the environment
names a proxy (HTTPS_PROXY, NO_PROXY), the way leads through it, as Flower's does.
"""

import base64
import http.client
import socket
import ssl
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fedner.deployment.preflight.findings import Finding, all_well, failed, ok, skipped
from fedner.deployment.provisioning.kit import is_address
from fedner.flower.signing import LARGEST_AGE_SECONDS, LARGEST_LEAD_SECONDS

TIMEOUT_SECONDS = 10.0
WHOLE_SECOND = 1
"""Resolution of the server's time, in seconds."""
_HEALTH = "/health"
_NOT_YET_VALID, _EXPIRED, _OTHER_HOST, _OTHER_ADDRESS = 9, 10, 62, 64  # OpenSSL's X509_V_ERR_…


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy, and the headers that it wants to see."""

    host: str
    port: int
    headers: Mapping[str, str] = field(repr=False)


def reach(host: str, port: int, authority: Path, now: Callable[[], datetime]) -> list[Finding]:
    """Look up the server, connect, shake hands, compare clocks; checks after a failure are skipped.

    Args:
        host: the server's name or address.
        port: the port to look at.
        authority: file with the certificates that are trusted.
        now: this machine's clock.
    """
    proxy = proxy_for(host)
    found = [_look_up(host, proxy)]
    found.append(_unreached("port") if not all_well(found) else _connect(host, port, proxy))
    return [*found, *([_unreached("TLS")] if not all_well(found) else _shake_hands(host, port, authority, proxy, now))]


def proxy_for(host: str) -> Proxy | None:
    """Return the proxy that the environment names for HTTPS to a host."""
    url = urllib.request.getproxies().get("https")
    if not url or urllib.request.proxy_bypass(host):
        return None
    parts = urlsplit(url if "//" in url else f"//{url}")
    if parts.hostname is None:
        return None
    headers = {}
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(credentials.encode()).decode()
    return Proxy(parts.hostname, parts.port or 80, headers)


def trusting(authority: Path) -> ssl.SSLContext:
    """Return TLS settings that accept a server of these authorities alone, under its own name."""
    context = ssl.create_default_context(cafile=str(authority))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def connection_to(host: str, port: int, authority: Path) -> http.client.HTTPSConnection:
    """Return a connection to the server that is not open yet, through a proxy where the environment names one."""
    proxy = proxy_for(host)
    place = (proxy.host, proxy.port) if proxy else (host, port)
    connection = http.client.HTTPSConnection(*place, timeout=TIMEOUT_SECONDS, context=trusting(authority))
    if proxy is not None:
        connection.set_tunnel(host, port, proxy.headers)
    return connection


def compare_clocks(server: datetime, here: datetime) -> Finding:
    """Compare the server's clock with this one, by what Flower tolerates of the moment of a signature."""
    ahead = (here - server).total_seconds()
    gap = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the server's"
    if abs(ahead) < WHOLE_SECOND * 2:
        return ok("clock", "the server's says the same")
    limits = f"at most {LARGEST_LEAD_SECONDS} s ahead and {LARGEST_AGE_SECONDS} s behind"
    if -LARGEST_AGE_SECONDS < ahead < LARGEST_LEAD_SECONDS + WHOLE_SECOND:
        return ok("clock", gap)
    return failed("clock", f"{gap}; expected {limits}, or it refuses every request", "let NTP set the clock of both")


def _unreached(check: str) -> Finding:
    return skipped(check, "not looked at, since the check before it failed")


def _look_up(host: str, proxy: Proxy | None) -> Finding:
    if proxy is not None:
        return ok("name", f"{host} is looked up by the proxy {proxy.host}:{proxy.port}")
    if is_address(host):
        return ok("name", f"{host} is an address")
    try:
        entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        remedy = "ask your network's administrator for a DNS entry, or write one into /etc/hosts"
        return failed("name", f"{host} has no address here", remedy)
    return ok("name", f"{host} is {', '.join(sorted({str(entry[4][0]) for entry in entries}))}")


def _connect(host: str, port: int, proxy: Proxy | None) -> Finding:
    place = (proxy.host, proxy.port) if proxy else (host, port)
    what = f"{place[0]} port {place[1]}" + (" (the proxy)" if proxy else "")
    try:
        socket.create_connection(place, timeout=TIMEOUT_SECONDS).close()
    except TimeoutError:
        remedy = f"ask your network's administrator to let this machine reach {host} at TCP port {port}, outgoing only"
        return failed("port", f"{what} does not answer within {TIMEOUT_SECONDS:.0f} s", remedy)
    except ConnectionRefusedError:
        remedy = "ask the coordinator whether the server runs, and at this port; a firewall may refuse it as well"
        return failed("port", f"{what} refuses the connection", remedy)
    except OSError as error:
        return failed("port", f"{what} cannot be reached ({error.strerror})", "check this machine's network and routes")
    return ok("port", f"{what} answers")


def _shake_hands(
    host: str, port: int, authority: Path, proxy: Proxy | None, now: Callable[[], datetime]
) -> list[Finding]:
    connection = connection_to(host, port, authority)
    try:
        connection.connect()
        version = connection.sock.version()
        date = _ask_time(connection)
        here = now()
    except ssl.SSLCertVerificationError as error:
        return [_distrusted(error, host, now())]
    except (OSError, http.client.HTTPException) as error:
        return [_unshaken(error, host, port, proxy)]
    finally:
        connection.close()
    shaken = ok("TLS", f"the server at {host} port {port} is this federation's ({version})")
    clock = skipped("clock", "the server did not send its time") if date is None else compare_clocks(date, here)
    return [shaken, clock]


def _ask_time(connection: http.client.HTTPSConnection) -> datetime | None:
    """Return the time of the server's Date header; None without one, or if it does not speak HTTP."""
    try:
        connection.request("GET", _HEALTH)
        date = connection.getresponse().getheader("Date")
        return None if date is None else parsedate_to_datetime(date).astimezone(UTC)
    except (OSError, http.client.HTTPException, ValueError):
        return None


def _distrusted(error: ssl.SSLCertVerificationError, host: str, now: datetime) -> Finding:
    clock = f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC"
    if error.verify_code == _EXPIRED:
        remedy = "check the clock; if it is right, tell the coordinator: `fedner provision rotate --server` is due"
        return failed("TLS", f"the server's certificate has expired; {clock}", remedy)
    if error.verify_code == _NOT_YET_VALID:
        remedy = "let NTP set the clock; if it is right, tell the coordinator"
        return failed("TLS", f"the server's certificate does not hold yet; {clock}", remedy)
    if error.verify_code in (_OTHER_HOST, _OTHER_ADDRESS):
        remedy = f"tell the coordinator: `fedner provision rotate --server --host {host} …` puts the name into it"
        return failed("TLS", f"the server's certificate is not for {host}", remedy)
    remedy = (
        "do not go on: ask the coordinator whether the authority was replaced, and for a newer kit; ask your network's "
        "administrator whether something on the way opens TLS"
    )
    return failed("TLS", f"another authority than this federation's vouches for the server at {host}", remedy)


def _unshaken(error: Exception, host: str, port: int, proxy: Proxy | None) -> Finding:
    if proxy is not None and isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        remedy = f"ask your network's administrator to let the proxy connect to {host} at port {port} (CONNECT)"
        return failed(
            "TLS", f"the proxy {proxy.host}:{proxy.port} does not let the connection through ({error})", remedy
        )
    remedy = "ask the coordinator which port sites connect to, and whether something else listens there"
    return failed("TLS", f"{host} port {port} answers, but not in TLS", remedy)
