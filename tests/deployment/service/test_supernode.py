"""A SuperNode whose connection has ended for good ends as a process, so that the next one can take its place."""

import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from flwr.proto.fleet_pb2 import ActivateNodeResponse

from fedner.deployment.service.flower_programs import LOOPBACK, environment, listen


class _Once(BaseHTTPRequestHandler):
    """Lets a node in, and nothing more."""

    def do_POST(self) -> None:
        content = ActivateNodeResponse(node_id=1).SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


class _Breaking(ThreadingHTTPServer):
    """Shakes hands once; every later handshake breaks off."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context, self.shaken = context, 0
        super().__init__(("127.0.0.1", 0), _Once)

    def get_request(self):
        plain, address = super().get_request()
        self.shaken += 1
        if self.shaken > 1:
            plain.recv(65536)  # all of the greeting, since closing on unread bytes would be told as a reset
            plain.close()
            raise OSError("broken off")
        return self.context.wrap_socket(plain, server_side=True), address


@contextmanager
def breaking_server(kit: Path) -> Iterator[_Breaking]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(kit / "server.crt", kit / "server.key")
    server = _Breaking(context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.slow
def test_a_supernode_ends_when_its_link_broke_off_in_a_handshake(issued, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "node.toml").write_text('site-file = "site.yaml"\n')
    with breaking_server(issued / "server") as server, listen(LOOPBACK, 0) as runtime:
        command = [
            *(sys.executable, "-P", "-m", "fedner.deployment.service.supernode"),
            *("--superlink", f"localhost:{server.server_port}"),
            *("--root-certificates", str(issued / "site-north" / "ca.crt")),
            *("--key", str(issued / "site-north" / "north.key")),
            *("--node-config", str(tmp_path / "node.toml")),
            *("--runtime-socket", str(runtime.fileno()), "--secret-file", str(tmp_path / "secret")),
        ]
        ended = subprocess.run(
            command, env={**environment(tmp_path), "NO_PROXY": "*"}, pass_fds=[runtime.fileno()],
            capture_output=True, text=True,
        )  # fmt: skip
    assert server.shaken > 1, ended.stderr
    assert ended.returncode == 1
    assert "event=link-lost" in ended.stdout
