"""Lets Flower's own command line speak to a server: a named connection, and the token where it looks for one."""

from pathlib import Path

from flwr.cli.constant import ACCESS_TOKEN_STORE_KEY, AUTHN_TYPE_STORE_KEY, REFRESH_TOKEN_STORE_KEY
from flwr.cli.flower_config import write_superlink_connection
from flwr.cli.typing import SuperLinkConnection
from flwr.common.constant import AuthnType
from flwr.supercore.credential_store import get_credential_store

from fedner.deployment.provisioning.kit import Kit
from fedner.deployment.provisioning.token import control_token
from fedner.deployment.service.flower_programs import needed
from fedner.flower.app_bundle import description


def connect_flower(kit: Kit, address: str | None, app: Path) -> str:
    """Write a connection for `flwr run APP NAME`, `flwr ls NAME` and so on; return its name, which is the federation's.

    Flower's command line shows a token only for the one kind of account that it knows, so that is what is written. The
    files are those of FLWR_HOME, by default ~/.flwr.

    Args:
        kit: the coordinator's.
        address: host:port where the server is reached instead of where the kit says.
        app: folder for the app that such a run names; it holds a description and no code.

    Raises:
        ConfigError: the kit has no token.
    """
    place, token = address or kit.address(kit.ports.control), control_token(kit)
    certificate = str(needed(kit.ca_certificate).resolve())
    write_superlink_connection(SuperLinkConnection(kit.federation, address=place, root_certificates=certificate))
    store = get_credential_store()
    store.set(AUTHN_TYPE_STORE_KEY % place, AuthnType.OIDC.encode())
    for key in (ACCESS_TOKEN_STORE_KEY, REFRESH_TOKEN_STORE_KEY):
        store.set(key % place, token.encode())
    app.mkdir(parents=True, exist_ok=True)
    (app / "pyproject.toml").write_text(description(), encoding="utf-8")
    return kit.federation
