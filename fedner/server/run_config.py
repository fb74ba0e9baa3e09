"""What a `flwr run` is given: the config, where its paths are seen from, whether to go on with a run, who is who."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from fedner.config import Config, loads
from fedner.config.paths import absolute_paths
from fedner.errors import ConfigError


def resumes(value: object, config: Config) -> bool:
    """Return whether the run config asks to go on with a run.

    Raises:
        ConfigError: it says neither yes nor no, or not which run.
    """
    if not isinstance(value, bool):
        raise ConfigError(f"run config: expected true or false under `resume`, got {value!r}")
    if value and config.name is None:
        raise ConfigError("run config: `resume` wants the run's name, as in `fedner config name=NAME … --toml`")
    return value


def run_config(text: str, folder: str) -> Config:
    """Return the config of a `flwr run`, its paths made absolute.

    Raises:
        ConfigError: there is none, it is no config of this version, or the folder is not absolute.
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
    """Return what `registered_nodes` reads."""
    return json.dumps({str(node): site for node, site in sorted(registered.items())})


def registered_nodes(text: str) -> dict[int, str] | None:
    """Return whose key each node has, as `fedner submit` says it; None for a run that was started without.

    Raises:
        ConfigError: it is not what `nodes_text` writes.
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
