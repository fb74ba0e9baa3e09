"""Flower's SuperNode, put together from its own parts so that it serves its runtime API at a socket that it is given.

`flower-supernode` binds a port by number. Whoever starts it would have to find a free one first, and another process
could take it in between: the site's worker, which takes site file and paths from whoever answers there, would be told
other ones.
"""

import socket
import threading
from pathlib import Path

import uvicorn
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from flwr.app import UserConfig
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supernode.main import create_app
from flwr.supernode.nodestate import NodeStateFactory
from flwr.supernode.start_client_internal import start_client_internal


def run_supernode(
    superlink: str,
    authority: Path,
    key: EllipticCurvePrivateKey,
    node_config: UserConfig,
    runtime: socket.socket,
    secret: bytes,
) -> None:
    """Answer for a site until the connection to the server has ended; by SystemExit where that is refused.

    Args:
        superlink: host:port of the server's fleet API.
        authority: file with the certificates that are trusted.
        key: the site's private key.
        node_config: what a client app is given with every message.
        runtime: a listening socket on loopback for the processes that run apps.
        secret: what those processes have to show.
    """
    states = NodeStateFactory(objectstore_factory=ObjectStoreFactory())
    app = create_app(state_factory=states, superexec_auth_secret=secret)
    server = uvicorn.Server(uvicorn.Config(app, access_log=False))
    serve = threading.Thread(target=server.run, args=([runtime],), name="runtime-api", daemon=True)
    serve.start()
    host, port = runtime.getsockname()
    start_client_internal(
        state_factory=states,
        server_address=superlink,
        node_config=node_config,
        root_certificates=authority.read_bytes(),
        insecure=False,
        authentication_keys=(key, key.public_key()),
        isolation="process",  # runs no app itself
        runtime_api_address=f"{host}:{port}",
        superexec_auth_secret=secret,
        runtime_dependency_install=False,
    )
