"""Overrides -> a checked `Config`, by Hydra; or a saved run's config with overrides."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import hydra
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fedner.cli.keys import config_folder, known_keys
from fedner.config import CLASSES_BY_GROUP, Config, FederationConfig, ModelConfig, TrainingConfig, from_plain
from fedner.config.suggesting import suggestion
from fedner.errors import ConfigError, FednerError

_SINGLE_CLASSES: dict[str, type] = {"model": ModelConfig, "training": TrainingConfig, "federation": FederationConfig}


def _register_schemas() -> None:
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for group, classes in CLASSES_BY_GROUP.items():
        for kind, schema in classes.items():
            store.store(group=group, name=f"schema_{kind}", node=schema)
    for group, schema in _SINGLE_CLASSES.items():
        store.store(group=group, name=f"schema_{group}", node=schema)


def compose(*overrides: str, run: str | Path | None = None) -> Config:
    """Return the configuration that overrides describe, as after `fedner simulate`.

    Args:
        run: a run directory whose saved configuration is the start, in place of fedner's defaults.

    Raises:
        ConfigError: a key or group is unknown (with a did-you-mean) or a value does not fit.
    """
    if run is not None:
        return _saved(["--from", str(run), *overrides])
    _register_schemas()
    try:
        with hydra.initialize_config_dir(version_base="1.3", config_dir=str(config_folder())):
            return _checked(hydra.compose("config", overrides=list(overrides)))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_in_plain_words(error)) from error


def run_composed(verb: str, arguments: Sequence[str], task: Callable[[Config], None]) -> None:
    """Compose the config from `arguments` and call `task` with it, once, or once per combination with --multirun.

    `--from RUN` in place of groups takes the config saved in that run directory.

    Raises:
        ConfigError: a key or group is unknown (with a did-you-mean) or a value does not fit.
    """
    if "--from" in arguments:
        task(_saved(arguments))
        return
    _register_schemas()
    # Hydra prints and exits on its own unless told otherwise; we want the exception, to say it in our words.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv = [f"fedner {verb}", *arguments]

    failures: list[FednerError] = []

    def composed(config: DictConfig) -> None:
        # Kept from Hydra, which would print it with its own advice; after a failure the rest of a sweep is skipped.
        if not failures:
            try:
                task(_numbered(_checked(config)))
            except FednerError as error:
                failures.append(error)

    try:
        hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="config")(composed)()
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_in_plain_words(error)) from error
    if failures:
        raise failures[0]


def _numbered(config: Config) -> Config:
    sweep = HydraConfig.get()
    if sweep.mode is not RunMode.MULTIRUN:
        return config
    return replace(config, name=f"{config.name or 'run'}-{sweep.job.num:02d}")


def _checked(config: DictConfig) -> Config:
    plain = OmegaConf.to_container(config, resolve=True, enum_to_str=True)
    assert isinstance(plain, dict)
    return from_plain({str(key): value for key, value in plain.items()})


def _saved(arguments: Sequence[str]) -> Config:
    position = list(arguments).index("--from")
    if position + 1 >= len(arguments):
        raise ConfigError("--from: expected a run directory, got nothing after it")
    path = Path(arguments[position + 1]) / "config.yaml"
    try:
        saved = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"--from: expected a run directory, got no readable {path} ({error})") from error
    overrides = [*arguments[:position], *arguments[position + 2 :]]
    config = from_plain(saved)
    try:
        merged = OmegaConf.merge(OmegaConf.structured(config), OmegaConf.from_dotlist(overrides))
    except OmegaConfBaseException as error:
        raise ConfigError(_in_plain_words(error)) from error
    assert isinstance(merged, DictConfig)
    return _checked(merged)


def _in_plain_words(error: BaseException) -> str:
    # Hydra wraps the exception that knows what is wrong.
    while error.__cause__ is not None:
        error = error.__cause__
    key = getattr(error, "full_key", None)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if key:
        return f"{key}: {lines[0]}{suggestion(key, known_keys())}"
    if isinstance(error, MissingConfigException):
        return _unknown_option(lines)
    return "\n".join(line for line in lines if "To append to your config" not in line)


def _unknown_option(lines: list[str]) -> str:
    # "In 'config': Could not find 'data/conl'", then the options one a line, then the search path.
    group, _, option = lines[0].rpartition("'")[0].rpartition("'")[2].partition("/")
    options = [line for line in lines[2:] if " " not in line and not line.startswith("schema_") and "=" not in line]
    return f"{group}={option}: expected one of {', '.join(options)}, got '{option}'{suggestion(option, options)}"
