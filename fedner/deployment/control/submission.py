"""A composed configuration -> the one that a federation's sites are asked to run."""

from dataclasses import replace
from datetime import datetime

from fedner.config import AtSitesData, Config, ContractConfig
from fedner.data.labels import read_contract
from fedner.deployment.provisioning.kit import Kit
from fedner.errors import ConfigError

OVERRIDES = ("data=at_sites", "partition=natural")
"""What every submitted configuration is composed with."""


def for_sites(config: Config, kit: Kit, any_number: bool) -> Config:
    """Return the config with the kit's contract in it, a name, and no path of this machine's but the model's.

    Args:
        config: composed with `OVERRIDES`, or a submitted one.
        kit: the coordinator's.
        any_number: federation.min_sites was chosen; else all sites of the kit have to be there, as in a simulation.

    Raises:
        ConfigError: the config names text of its own.
    """
    if not isinstance(config.data, AtSitesData):
        raise ConfigError(f"data: expected at_sites, since each site reads its own text, got {config.data.kind}")
    contract = read_contract(kit.contract_file)
    types = {entity.name: entity.meaning for entity in contract.types}
    agreed = ContractConfig(name=contract.name, version=contract.version, types=types)
    num_sites = len(list(kit.public_keys.glob("*.pub")))
    federation = config.federation
    if not any_number and federation.min_sites == 1 and num_sites > 1:
        federation = replace(federation, min_sites=num_sites)
    return replace(
        config,
        name=config.name or f"{kit.federation}-{datetime.now():%Y%m%d-%H%M%S}",
        output="runs",
        data=replace(config.data, contract=agreed, contract_file=None),
        federation=federation,
    )
