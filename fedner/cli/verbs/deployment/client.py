"""`fedner client`; dry_run.py has `fedner client --dry-run`."""

from argparse import Namespace

from fedner.cli.options import composed_words
from fedner.deployment.provisioning.kit import read_kit
from fedner.deployment.service.client import take_part
from fedner.errors import ConfigError, FederationError


def client(options: Namespace) -> None:
    """`fedner client`."""
    if words := composed_words(options):
        raise ConfigError(f"fedner client: expected overrides with --dry-run alone, got {' '.join(words)}")
    kit = read_kit(options.kit)
    if not take_part(kit, options.site, options.key or kit.site_key, options.state.resolve()):
        raise FederationError(f"the client does not stay up; {options.state / 'log' / 'client.log'} says more")
