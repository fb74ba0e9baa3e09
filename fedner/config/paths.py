"""Paths in a config: made absolute, and where a run goes."""

from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fedner.config.knobs import PathKind, meaning
from fedner.config.plain import refuse_unsafe

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from fedner.config import Config

Part = TypeVar("Part", bound="DataclassInstance")


def absolute_paths(config: "Config", folder: Path) -> "Config":
    """Return the config with every path of the user's made absolute, seen from `folder`.

    Sites may run in processes with another working directory. Names that are not paths stay as they are: a model or a
    data set that is no folder there is taken for a hub name.

    Raises:
        ConfigError: the folder's own name holds what a config may not.
    """
    refuse_unsafe(str(folder), "folder")
    return seen_from(config, folder)


def seen_from(config: Part, folder: Path) -> Part:
    """Return a config, or a part of one, in which every relative path that its knobs declare starts from `folder`."""
    changed: dict[str, Any] = {}
    for entry in fields(config):
        value: Any = getattr(config, entry.name)
        kind = meaning(entry).path
        if is_dataclass(entry.type):
            changed[entry.name] = seen_from(value, folder)
        elif value and kind is not None:
            if isinstance(value, list):
                changed[entry.name] = [str(folder / name) for name in value]
            elif kind is PathKind.path or (folder / value).is_dir():
                changed[entry.name] = str(folder / value)
    return replace(config, **changed)


def new_run_path(config: "Config", command: str) -> Path:
    """Return where a run goes: `output`/`name`, or a name from the command, the data and the time if it has none."""
    if config.name is not None:
        return Path(config.output) / config.name
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return Path(config.output) / f"{command}-{config.data.kind}-{stamp}"
