"""The certificates of a federation: an authority of its own, and what it issues to the server.

No public authority is involved: whoever holds the kit trusts this federation's server and no other. `ca.crt` holds the
authority's certificate first; while the authority is being replaced, the one before it follows.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fedner.deployment.provisioning.keys import make_key
from fedner.deployment.provisioning.kit import is_address
from fedner.errors import ConfigError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Names that every server certificate bears as well: the server's own processes and probes come from there."""
BACKDATED = timedelta(hours=1)
"""How long before its issue a certificate begins to hold, for machines whose clock is behind."""
_HASH = hashes.SHA384()


@dataclass(frozen=True)
class Authority:
    """A certificate authority: its certificate, its private key, and authorities before it that are still trusted."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    previous: tuple[x509.Certificate, ...] = ()

    def trusted_text(self) -> bytes:
        """Return all that is trusted, as ca.crt has it."""
        return b"".join(each.public_bytes(Encoding.PEM) for each in (self.certificate, *self.previous))

    def sign(self, content: bytes) -> bytes:
        """Return a signature (ECDSA, SHA-384, DER), which `openssl dgst -sha384 -verify` checks as well."""
        return self.key.sign(content, ec.ECDSA(_HASH))


def make_authority(federation: str, days: int, now: datetime) -> Authority:
    """Make an authority that holds for so many days."""
    key = make_key()
    serial = x509.random_serial_number()
    # The serial number tells authorities of the same federation apart.
    subject = _subject(federation, f"fedner CA {serial:x}")
    usage = _usage(sign=True, certify=True)
    certificate = (
        _builder(subject, subject, key.public_key(), serial, now, now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, _HASH)
    )
    return Authority(certificate, key)


def issue_server(
    authority: Authority, federation: str, hosts: Sequence[str], days: int, now: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Issue a certificate for the server's names and addresses, with a key of its own; never beyond the authority's."""
    key = make_key()
    ca = authority.certificate
    until = min(now + timedelta(days=days), ca.not_valid_after_utc)
    subject = _subject(federation, "fedner server")
    identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        _builder(subject, ca.subject, key.public_key(), x509.random_serial_number(), now, until)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in certified(hosts)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign=True, certify=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(authority.key, _HASH)
    )
    return certificate, key


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as TLS servers read it (PKCS 8)."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as TLS servers read it."""
    return certificate.public_bytes(Encoding.PEM)


def read_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """Read the certificates of a file, at least one.

    Raises:
        ConfigError: the file is missing or holds none.
    """
    try:
        return tuple(x509.load_pem_x509_certificates(path.read_bytes()))
    except OSError as error:
        raise ConfigError(f"{path}: expected a certificate, got none ({error.strerror})") from error
    except ValueError as error:
        raise ConfigError(f"{path}: expected a certificate, got none that can be read") from error


def read_authority(certificate: Path, key: Path) -> Authority:
    """Read an authority with its private key.

    Raises:
        ConfigError: a file is missing or unreadable, or they do not belong together.
    """
    first, *previous = read_certificates(certificate)
    return Authority(first, read_key_of(first, key), tuple(previous))


def read_key_of(certificate: x509.Certificate, path: Path) -> ec.EllipticCurvePrivateKey:
    """Read the private key of a certificate.

    Raises:
        ConfigError: the file is missing or unreadable, or is another certificate's key.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise ConfigError(f"{path}: expected a private key, got none ({error.strerror})") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: expected a private key without a passphrase, got none that can be read") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise ConfigError(f"{path}: expected the private key of the certificate beside it, got another")
    return key


def issued_by(certificate: x509.Certificate, issuers: Sequence[x509.Certificate]) -> bool:
    """Return whether one of the authorities issued a certificate."""
    for issuer in issuers:
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return True
    return False


def signed_by(content: bytes, signature: bytes, signers: Sequence[x509.Certificate]) -> bool:
    """Return whether one of the authorities signed a content."""
    for signer in signers:
        key = signer.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            continue
        try:
            key.verify(signature, content, ec.ECDSA(_HASH))
        except InvalidSignature:
            continue
        return True
    return False


def certificate_fingerprint(certificate: x509.Certificate) -> str:
    """Return a certificate's SHA-256 as openssl prints it: what people compare by telephone."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def certified(hosts: Sequence[str]) -> tuple[str, ...]:
    """Return the names and addresses that the certificate of a server with these hosts bears, each in one spelling."""
    spelt = [str(ipaddress.ip_address(host)) if is_address(host) else host.lower() for host in (*hosts, *LOOPBACK)]
    return tuple(dict.fromkeys(spelt))


def hosts_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the names and addresses that a server certificate bears."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return (*names.get_values_for_type(x509.DNSName), *addresses)


def _subject(federation: str, name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, federation), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, serial: int, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(now - BACKDATED)
        .not_valid_after(until)
    )


def _usage(*, sign: bool, certify: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign,
        key_cert_sign=certify,
        crl_sign=certify,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(name: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(name)) if is_address(name) else x509.DNSName(name)
