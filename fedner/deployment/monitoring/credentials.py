"""View credentials: a token with view permission only for the coordinator, a signed credential for a site.

Neither has to be sent to anybody or stored by the server: the token is derived from the control token, of which the
server holds the SHA-256 alone, and a site's credential is verified with the public key that the site is registered
with. So a kit without a private key holds no secret, a credential expires by itself, and a site that is revoked or
whose key is replaced loses access. The server cannot forge a credential, nor could whoever steals it.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from fedner.deployment.provisioning.keys import make_key, public_line
from fedner.deployment.provisioning.kit import Kit
from fedner.deployment.provisioning.token import control_token
from fedner.deployment.service.access import token_digest
from fedner.flower.signing import sign_message, verify_signature

LONGEST = timedelta(hours=24)
"""A credential that claims to be valid for longer is refused."""
LONGEST_PASSWORD = 400
_PURPOSE = b"fedner viewing token 1"
_DUMMY_KEY = public_line(make_key().public_key(), "nobody").decode()
_CREDENTIAL = re.compile(r"([A-Za-z0-9_-]+)\.([0-9]{1,11})\.([A-Za-z0-9_=-]+)", re.ASCII)


@dataclass(frozen=True)
class Viewer:
    """Somebody with view permission: a site, or the coordinator if None."""

    site: str | None


def viewing_token(kit: Kit) -> str:
    """Return the coordinator's view token, from which the control token cannot be derived.

    Raises:
        ConfigError: as `control_token`.
    """
    return hmac.digest(control_token(kit).encode(), _PURPOSE, "sha256").hex()


def sign_credential(federation: str, site: str, key: EllipticCurvePrivateKey, until: datetime) -> str:
    """Return a site's view credential, valid until a moment; made by the site, with its private key."""
    claim = f"{site}.{int(until.timestamp())}"
    signature = base64.urlsafe_b64encode(sign_message(key, _signed(federation, claim)))
    return f"{claim}.{signature.decode('ascii')}"


@dataclass(frozen=True, kw_only=True)
class Viewers:
    """Authenticates viewers of a federation.

    Args:
        federation: its name; a credential for another one is refused.
        sites: site -> the public key that it is registered with, one OpenSSH line.
        digest: SHA-256 (hex) of the coordinator's view token; None admits sites alone.
    """

    federation: str
    sites: Mapping[str, str]
    digest: str | None = None

    def authenticate(self, password: str, now: datetime) -> Viewer | None:
        """Return the viewer that a password (token or credential) belongs to; None if it is not valid now."""
        if len(password) > LONGEST_PASSWORD:
            return None
        claimed = _CREDENTIAL.fullmatch(password)
        if claimed is not None:
            site, until, signature = claimed.groups()
            return self._site(site, until, signature, now)
        accepted = self.digest is not None and hmac.compare_digest(token_digest(password), self.digest)
        return Viewer(None) if accepted else None

    def _site(self, site: str, until: str, signature: str, now: datetime) -> Viewer | None:
        left = datetime.fromtimestamp(int(until), UTC) - now
        if not timedelta(0) < left <= LONGEST:
            return None
        # Verify against a dummy key for unknown names, so that timing does not reveal which sites exist.
        key = load_ssh_public_key(self.sites.get(site, _DUMMY_KEY).encode())
        assert isinstance(key, EllipticCurvePublicKey)  # checked when the server read its kit
        try:
            shown = base64.b64decode(signature, altchars=b"-_", validate=True)
        except binascii.Error:
            return None
        genuine = verify_signature(key, _signed(self.federation, f"{site}.{until}"), shown)
        return Viewer(site) if genuine and site in self.sites else None


def password_of(authorization: str) -> str | None:
    """Return the password of an HTTP Basic authentication header, whatever its user; None without one."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        _, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except ValueError:
        return None
    return password if colon else None


def _signed(federation: str, claim: str) -> bytes:
    return f"fedner view 1 {federation} {claim}".encode("ascii")
