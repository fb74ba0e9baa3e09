"""`fedner server`."""

from argparse import Namespace

from fedner.deployment.provisioning.kit import read_kit
from fedner.deployment.service.server import Web, serve
from fedner.errors import FederationError


def server(options: Namespace) -> None:
    """`fedner server`."""
    web = None if options.web is None else Web(options.web_host, options.web)
    if not serve(read_kit(options.kit), options.state.resolve(), options.host, options.control_host, web):
        raise FederationError(f"the server does not stay up; {options.state / 'log' / 'server.log'} says more")
