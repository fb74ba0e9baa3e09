"""Flower's SuperNode as a process that ends when its connection has.

    python -P -m fedner.deployment.service.supernode OPTIONS

Where a link breaks off in the middle of a TLS handshake, Flower gives the connection up for good; its process stays all
the same, since threads of it do, and nobody would notice that the site is gone. Here the
process ends, and whoever supervises it starts the next one.
"""

import os
import socket
import tomllib
import traceback
from argparse import ArgumentParser
from pathlib import Path

from fedner.deployment.provisioning.keys import read_private
from fedner.deployment.service.event_lines import log_event
from fedner.flower.polling import look_again_soon
from fedner.flower.supernode_process import run_supernode


def main() -> None:
    """Run Flower's SuperNode with this process's arguments until its connection has ended; SystemExit passes."""
    parser = ArgumentParser(description="Answer for a site until the connection to the server has ended")
    parser.add_argument("--superlink", required=True, help="host:port of the server's fleet API")
    parser.add_argument("--root-certificates", type=Path, required=True, help="certificates that are trusted")
    parser.add_argument("--key", type=Path, required=True, help="the site's private key")
    parser.add_argument("--node-config", type=Path, required=True, help="TOML, given to the app with every message")
    parser.add_argument("--runtime-socket", type=int, required=True, help="file descriptor of a listening socket")
    parser.add_argument("--secret-file", type=Path, required=True, help="what whoever asks for tasks has to show")
    given = parser.parse_args()
    key, secret = read_private(given.key), given.secret_file.read_bytes()
    node_config = tomllib.loads(given.node_config.read_text(encoding="utf-8"))
    runtime = socket.socket(fileno=given.runtime_socket)
    look_again_soon()
    try:
        run_supernode(given.superlink, given.root_certificates, key, node_config, runtime, secret)
    except Exception:
        traceback.print_exc()
    log_event("link-lost")
    os._exit(1)  # threads of Flower's would keep the process


if __name__ == "__main__":
    main()
