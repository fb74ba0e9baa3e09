"""Kits issued for a small federation, and a real TLS server on loopback that bears their certificate."""

import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from fedner.deployment.provisioning.issuing import issue
from fedner.deployment.provisioning.keys import make_site_key

# `watched.py` has a history that several tests look at.
sys.path.append(str(Path(__file__).parent / "monitoring"))

NOW = datetime.now(UTC)
"""When kits are issued, and the time on every clock that is compared, so that no test depends on how long it takes."""
HOST = "fed.example.org"
CONTRACT = "name: notes\nversion: 1\ntypes: {DRUG: a medicine, DOSE: an amount}\n"
FEDERATION = f"""\
name: cardio
server:
  hosts: [{HOST}, "2001:db8::7", 192.0.2.7]
contract: labels.yaml
sites:
  - name: north
  - name: south
    public_key: own/south.pub
"""


def write_federation(folder: Path, text: str = FEDERATION) -> Path:
    """Write federation.yaml and what it names; `south` makes its own key."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.yaml").write_text(CONTRACT)
    if not (folder / "own").exists():
        make_site_key("south", folder / "own")
    (folder / "federation.yaml").write_text(text)
    return folder / "federation.yaml"


def issue_kits(folder: Path, now: datetime | None = None, text: str = FEDERATION) -> Path:
    """Issue kits and return the federation's folder."""
    issue(write_federation(folder, text), folder / "kits", now or NOW)
    return folder / "kits" / "cardio"


@pytest.fixture
def kits(tmp_path) -> Path:
    return issue_kits(tmp_path)


@pytest.fixture(scope="session")
def issued(tmp_path_factory) -> Path:
    """Kits that no test changes."""
    return issue_kits(tmp_path_factory.mktemp("issued"))


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)  # with a Date header
        self.send_header("Content-Length", "0")
        self.end_headers()

    def date_time_string(self, timestamp=None):
        return format_datetime(NOW, usegmt=True)

    def log_message(self, *_):
        pass


class _Quiet(HTTPServer):
    def handle_error(self, *_):
        pass  # a refused handshake is the client's to tell


@contextmanager
def tls_server(kit: Path, port: int = 0) -> Iterator[int]:
    """Serve HTTPS on loopback with a kit's server certificate; give the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(kit / "server.crt", kit / "server.key")
    server = _Quiet(("127.0.0.1", port), _Healthy)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
