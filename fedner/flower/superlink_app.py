"""Flower's SuperLink as an ASGI app, put together from its own parts rather than by `flower-superlink`.

That command would put all APIs at one port, and would let whoever reaches it start runs. The app here listens nowhere
and opens no port; `fedner.deployment.service.superlink` serves it through listeners of its own.
"""

from collections.abc import Callable

from fastapi import FastAPI
from flwr.superlink.cli.flower_superlink import SuperLinkLifespan
from flwr.superlink.config_loader import SuperLinkLifespanConfig
from flwr.superlink.main import create_app

from fedner.flower.account_auth import TokenAuthn
from fedner.flower.link_state import LinkState


def superlink_app(runtime_port: int, secret: bytes, database: str, accepts: Callable[[str], bool]) -> FastAPI:
    """Return the app.

    Args:
        runtime_port: where on loopback the runtime API will be served; Flower tells its processes.
        secret: what the process that runs server apps has to show.
        database: path of the SQLite file.
        accepts: says whether a token is the coordinator's.
    """
    config = SuperLinkLifespanConfig(
        control_address="", health_server_address=None, host="127.0.0.1", port=runtime_port, insecure=False,
        certificates=None, superexec_auth_secret=secret, authn_plugin=TokenAuthn(accepts),
        event_log_plugin=None, fleet_event_log_plugin=None, enable_event_log=False, artifact_provider=None,
        enable_supernode_auth=True, fleet_api_type="grpc-rere", fleet_api_address=None, simulation=False,
        ssl_ca_certfile=None, ssl_certfile=None, ssl_keyfile=None, database=database,
        isolation="process",  # the process that runs apps is fedner's to start, and has to show the secret
        runtime_dependency_install=False,
    )  # fmt: skip
    return create_app(config, SuperLinkLifespan)


def link_state_of(app: FastAPI) -> LinkState:
    """Return the database behind the app."""
    return app.state.linkstate_factory.state()
