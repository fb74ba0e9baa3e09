"""Where Flower's own command line looks for servers and tokens."""

from flwr.cli.constant import ACCESS_TOKEN_STORE_KEY, AUTHN_TYPE_STORE_KEY, REFRESH_TOKEN_STORE_KEY
from flwr.cli.flower_config import write_superlink_connection
from flwr.cli.typing import SuperLinkConnection
from flwr.common.constant import AuthnType
from flwr.supercore.credential_store import get_credential_store


def write_connection(name: str, address: str, certificate: str, token: str) -> None:
    """Write a named connection, in the files of FLWR_HOME, by default ~/.flwr.

    Flower's command line shows a token only for the one kind of account that it knows, so that is what is written.

    Args:
        name: for `flwr run APP NAME`, `flwr ls NAME` and so on.
        address: host:port of the server's control listener.
        certificate: absolute path of the authority's certificate.
        token: the coordinator's.
    """
    write_superlink_connection(SuperLinkConnection(name, address=address, root_certificates=certificate))
    store = get_credential_store()
    store.set(AUTHN_TYPE_STORE_KEY % address, AuthnType.OIDC.encode())
    for key in (ACCESS_TOKEN_STORE_KEY, REFRESH_TOKEN_STORE_KEY):
        store.set(key % address, token.encode())
