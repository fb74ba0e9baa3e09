"""Key pairs of sites: made, written so that nobody else can read them, read back, compared.

Flower's SuperNode wants an elliptic-curve key on a NIST curve as OpenSSH writes it, and its SuperLink the public half
as one OpenSSH line. P-384 is what Flower itself makes.
"""

import base64
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
    load_ssh_public_key,
    ssh_key_fingerprint,
)

from fedner.deployment.provisioning.kit import check_name
from fedner.errors import ConfigError
from fedner.files import write_private

_LIMIT_BYTES = 20_000


def make_key() -> ec.EllipticCurvePrivateKey:
    """Make a key pair on P-384."""
    return ec.generate_private_key(ec.SECP384R1())


def make_site_key(site: str, folder: Path) -> tuple[Path, Path]:
    """Make a site's key pair in a folder; return the paths of the private key and of the public one.

    Raises:
        ConfigError: the name cannot be a site's, or a key is there already.
    """
    check_name(site, "--site")
    private, public = folder / f"{site}.key", folder / f"{site}.pub"
    for path in (private, public):
        if path.exists() or path.is_symlink():
            raise ConfigError(f"{path}: expected a place for a new key, got a file; a key is never overwritten")
    key = make_key()
    folder.mkdir(parents=True, exist_ok=True)
    write_private(private, private_text(key))
    public.write_bytes(public_line(key.public_key(), site))
    return private, public


def private_text(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as OpenSSH writes it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def public_line(key: ec.EllipticCurvePublicKey, comment: str) -> bytes:
    """Return a public key as one OpenSSH line, with whose it is at the end."""
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + f" {comment}\n".encode()


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """Return a public key's fingerprint as `ssh-keygen -l` prints it."""
    digest = ssh_key_fingerprint(key, hashes.SHA256())
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def read_public(path: Path) -> ec.EllipticCurvePublicKey:
    """Read a site's public key.

    Raises:
        ConfigError: the file is missing, or holds anything but one such key.
    """
    wanted = "a site's public key, one OpenSSH line (`fedner provision key` makes one)"
    content = _read(path, wanted)
    if b"PRIVATE KEY" in content:
        raise ConfigError(
            f"{path}: expected {wanted}, got a private key; it must not leave the site, which should make a new one"
        )
    lines = [line for line in content.splitlines() if line.strip()]
    if len(lines) != 1:
        raise ConfigError(f"{path}: expected {wanted}, got {len(lines)} lines")
    try:
        key = load_ssh_public_key(lines[0])
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: expected {wanted}, got none that can be read") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ConfigError(f"{path}: expected {wanted} of type ecdsa, got another type; Flower takes no other")
    return key


def read_private(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read a site's private key.

    Raises:
        ConfigError: the file is missing, or holds anything but such a key without a passphrase.
    """
    wanted = "a site's private key as OpenSSH writes it, without a passphrase"
    try:
        key = load_ssh_private_key(_read(path, wanted), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: expected {wanted}, got none that can be read") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{path}: expected {wanted} of type ecdsa, got another type; Flower takes no other")
    return key


def _read(path: Path, wanted: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LIMIT_BYTES)
    except OSError as error:
        raise ConfigError(f"{path}: expected {wanted}, got none ({error.strerror})") from error
