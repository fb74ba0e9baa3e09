"""Reads the run config of a `flwr run`: the config, the base folder of its paths, resuming, and the owners of keys."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from fedner.config import Config, loads
from fedner.config.paths import absolute_paths
from fedner.errors import ConfigError


def resumes(value: object, config: Config) -> bool:
    """Return whether the run config asks to resume a run.

    Raises:
        ConfigError: it is not a boolean, or the run has no name.
    """
    if not isinstance(value, bool):
        raise ConfigError(f"run config: expected true or false under `resume`, got {value!r}")
    if value and config.name is None:
        raise ConfigError("run config: `resume` wants the run's name, as in `fedner config name=NAME … --toml`")
    return value


def run_config(text: str, folder: str) -> Config:
    """Return the config of a `flwr run`, its paths made absolute.

    Raises:
        ConfigError: the config is missing or of another version, or the folder is not absolute.
    """
    if not text.strip():
        raise ConfigError(
            "run config: expected the resolved config as JSON under `config`, got none; pass "
            "--run-config with a TOML file that has config = '…'"
        )
    if folder and not Path(folder).is_absolute():
        raise ConfigError(f"run config: expected an absolute path under `folder`, got '{folder}'")
    return absolute_paths(loads(text), Path(folder) if folder else Path.cwd())


def nodes_text(registered: Mapping[int, str]) -> str:
    """Return node ids and sites as `registered_nodes` reads them."""
    return json.dumps({str(node): site for node, site in sorted(registered.items())})


def registered_nodes(text: str) -> dict[int, str] | None:
    """Return node id -> the site that owns its key, as `fedner submit` sends it; None for a run submitted without.

    Raises:
        ConfigError: it was not written by `nodes_text`.
    """
    if not text.strip():
        return None
    try:
        plain: object = json.loads(text)
        if isinstance(plain, dict):
            said = cast(dict[object, object], plain)
            return {int(str(node)): str(site) for node, site in said.items()}
    except ValueError:
        pass
    raise ConfigError("run config: expected node ids and names of sites as JSON under `nodes`, got something else")
