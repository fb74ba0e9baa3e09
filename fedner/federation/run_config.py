"""What a `flwr run` is given: the config, where its paths are seen from, whether to go on with a run."""

from pathlib import Path

from fedner.config import Config, loads
from fedner.errors import ConfigError
from fedner.federation.runs import absolute_paths


def resumes(value: object, config: Config) -> bool:
    """Return whether the run config asks to go on with a run.

    Raises:
        ConfigError: it says neither yes nor no, or not which run.
    """
    if not isinstance(value, bool):
        raise ConfigError(f"run config: wanted true or false under `resume`, found {value!r}")
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
            "run config: wanted the resolved config as JSON under `config`, found none; pass "
            "--run-config with a TOML file that has config = '…'"
        )
    if folder and not Path(folder).is_absolute():
        raise ConfigError(f"run config: wanted an absolute path under `folder`, found '{folder}'")
    return absolute_paths(loads(text), Path(folder) if folder else Path.cwd())
