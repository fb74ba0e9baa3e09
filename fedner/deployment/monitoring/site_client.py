"""A site's view of the server: over its client's listener, with a credential that its own key signs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from fedner.deployment.monitoring.credentials import sign_credential
from fedner.deployment.monitoring.status import Status, read_status
from fedner.deployment.monitoring.web import STATUS_PATH
from fedner.deployment.preflight.network import trusting
from fedner.deployment.provisioning.keys import read_private
from fedner.deployment.provisioning.kit import Kit
from fedner.deployment.service.flower_programs import needed
from fedner.errors import ConfigError, FederationError

REQUEST_VALIDITY = timedelta(minutes=10)
"""Validity of the credential of a single request; Flower asks that clocks differ by less."""
BROWSER_VALIDITY = timedelta(hours=12)
"""Validity of a credential for a browser."""


def own_credential(kit: Kit, key: EllipticCurvePrivateKey, validity: timedelta) -> str:
    """Return a view credential of the kit's site, valid from now on."""
    return sign_credential(kit.federation, str(kit.site), key, datetime.now(UTC) + validity)


@contextmanager
def watching_site(kit: Kit, key: Path, address: str | None = None) -> Iterator[Callable[[], Status]]:
    """Open a site's connection to the server; yield a function that fetches the status.

    Args:
        kit: the site's.
        key: its private key.
        address: host:port of the sites' listener instead of where the kit says.

    Raises:
        ConfigError: there is no key, or the server does not take it.
        FederationError: the server cannot be reached, or does not say.
    """
    place, private = address or kit.address(kit.ports.fleet), read_private(key)
    with httpx.Client(base_url=f"https://{place}", verify=trusting(needed(kit.ca_certificate)), timeout=60.0) as client:

        def look() -> Status:
            try:
                answer = client.get(STATUS_PATH, auth=(str(kit.site), own_credential(kit, private, REQUEST_VALIDITY)))
            except httpx.TransportError as error:
                raise FederationError(
                    f"no answer from the server at {place} ({error}); `fedner provision check` says what is in the way"
                ) from error
            return _read(answer, place)

        yield look


def _read(answer: httpx.Response, place: str) -> Status:
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise ConfigError(
            f"the server at {place} does not take this key's word: it may run with a kit that lacks the key, or the "
            "clocks are too far apart; `fedner provision check` says which"
        )
    if answer.status_code != httpx.codes.OK:
        raise FederationError(f"the server at {place} does not say how things stand ({answer.status_code})")
    return read_status(answer.json())
