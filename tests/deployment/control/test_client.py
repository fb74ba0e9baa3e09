"""Which servers the coordinator's client speaks to: those that hold to the letter of X.509, and no others."""

import http.client
import ssl
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from fedner.deployment.control.client import Control

from ..conftest import NOW, tls_server


def lax_server(folder: Path) -> Path:
    """Make an authority and a server certificate that lacks the authority key identifier, which RFC 5280 asks for."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority, name = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in ("lax", "server"))

    def certificate(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        days = {"before": NOW - timedelta(days=1), "after": NOW + timedelta(days=30)}
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(authority).public_key(public)
        builder = builder.not_valid_before(days["before"]).not_valid_after(days["after"])
        return builder.serial_number(x509.random_serial_number())

    basic = x509.BasicConstraints(ca=True, path_length=None)
    ca = certificate(authority, authority_key.public_key()).add_extension(basic, critical=True)
    local = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    server = certificate(name, key.public_key()).add_extension(local, critical=False)
    for file, builder in (("ca.crt", ca), ("server.crt", server)):
        (folder / file).write_bytes(builder.sign(authority_key, SHA256()).public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.key").write_bytes(pem)
    return folder


@pytest.mark.parametrize("ask", [Control.submitted, Control.runs], ids=["Flower's API", "downloads"])
def test_a_certificate_that_python_would_take_and_a_strict_reading_would_not_is_refused(tmp_path, ask):
    kit = lax_server(tmp_path)
    with tls_server(kit) as port:
        plain = ssl.create_default_context(cafile=str(kit / "ca.crt"))
        plain.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as Python before 3.13
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=plain)
        connection.connect()
        connection.close()
        control = Control(f"127.0.0.1:{port}", kit / "ca.crt", "token")
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            ask(control)
        control.close()
