"""Flower's own client of the sites' listener, before a server that cannot prove itself: it says nothing to it."""

import contextlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import create_server

import httpx
import pytest
from flwr.proto.fleet_pb2 import ActivateNodeRequest
from flwr.supernode.fleet_http_client import FleetHttpClient

from fedner.deployment.provisioning.issuing import issue

FEDERATION = """\
name: cardio
server: {hosts: [127.0.0.1]}
contract: labels.yaml
sites: [{name: north}]
valid_days: 30
"""
NOW = datetime.now(UTC)


@dataclass
class Heard:
    """What a server heard once the handshake was done."""

    content: bytes = b""


@contextmanager
def impostor(server_kit: Path) -> Iterator[tuple[int, Heard]]:
    """Take one connection with a kit's certificate, and keep what is said."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_kit / "server.crt", server_kit / "server.key")
    heard, listener = Heard(), create_server(("127.0.0.1", 0))

    def listen() -> None:
        with contextlib.suppress(OSError):
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True) as connection:
                heard.content = connection.recv(1000)

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield listener.getsockname()[1], heard
    finally:
        thread.join()
        listener.close()


def issued(folder: Path, when: datetime) -> Path:
    folder.mkdir()
    (folder / "labels.yaml").write_text("name: notes\nversion: 1\ntypes: {DRUG: a medicine}\n")
    (folder / "federation.yaml").write_text(FEDERATION)
    issue(folder / "federation.yaml", folder / "kits", when)
    return folder / "kits" / "cardio"


def call(port: int, authority: Path) -> None:
    address, trusted = f"127.0.0.1:{port}", authority.read_bytes()
    with closing(FleetHttpClient.from_server_address(address, False, trusted, [])) as client:
        client.ActivateNode(ActivateNodeRequest(public_key=b"a key"))


@pytest.mark.parametrize(
    ("days", "own_authority", "said"),
    [
        (-40, True, "certificate has expired"),
        (40, True, "certificate is not yet valid"),
        (0, False, "certificate verify failed"),
    ],
)
def test_a_server_with_a_certificate_out_of_date_or_of_another_authority_hears_nothing(
    tmp_path, days, own_authority, said
):
    kits = issued(tmp_path / "theirs", NOW + timedelta(days=days))
    trusted = kits if own_authority else issued(tmp_path / "ours", NOW)
    with impostor(kits / "server") as (port, heard), pytest.raises(httpx.ConnectError, match=said):
        call(port, trusted / "site-north" / "ca.crt")
    assert heard.content == b""


def test_the_server_of_the_kit_is_spoken_to(tmp_path):
    kits = issued(tmp_path / "ours", NOW)
    with impostor(kits / "server") as (port, heard), pytest.raises(httpx.TransportError):
        call(port, kits / "site-north" / "ca.crt")  # it hangs up without an answer
    assert heard.content.startswith(b"POST /v1/fleet/activate-node")
