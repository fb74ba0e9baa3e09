"""Lets Flower's own command line speak to a server: a named connection, and the token where it looks for one."""

from pathlib import Path

from fedner.deployment.provisioning.kit import Kit
from fedner.deployment.provisioning.token import control_token
from fedner.deployment.service.flower_programs import needed
from fedner.flower.app_bundle import description
from fedner.flower.cli_connection import write_connection


def connect_flower(kit: Kit, address: str | None, app: Path) -> str:
    """Write a connection for `flwr run APP NAME`, `flwr ls NAME` and so on; return its name, which is the federation's.

    Args:
        kit: the coordinator's.
        address: host:port where the server is reached instead of where the kit says.
        app: folder for the app that such a run names; it holds a description and no code.

    Raises:
        ConfigError: the kit has no token.
    """
    certificate = str(needed(kit.ca_certificate).resolve())
    place = address or kit.address(kit.ports.control)
    write_connection(kit.federation, place, certificate, control_token(kit))
    app.mkdir(parents=True, exist_ok=True)
    (app / "pyproject.toml").write_text(description(), encoding="utf-8")
    return kit.federation
