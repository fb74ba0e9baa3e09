"""What an override may say: groups with their options, and keys with the values they can take; without Hydra."""

from collections.abc import Iterator
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from fedner.config import CLASSES_BY_GROUP, Config
from fedner.config.suggesting import keys_of


def config_folder() -> Path:
    """Return the folder with fedner's own config groups: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def group_options() -> dict[str, list[str]]:
    """Return each group's options, both sorted."""
    folders = sorted(path for path in config_folder().iterdir() if path.is_dir())
    return {folder.name: sorted(option.stem for option in folder.glob("*.yaml")) for folder in folders}


def known_keys() -> list[str]:
    """Return every dotted key that some choice of groups accepts, sorted."""
    keys = keys_of(Config)
    for group, classes in CLASSES_BY_GROUP.items():
        for schema in classes.values():
            keys |= keys_of(schema, f"{group}.")
    return sorted(keys)


def values_of(key: str) -> list[str]:
    """Return the values of a key that has few: members of its enum, true and false; else nothing."""
    kinds = [kind for entry in _declared(key) for kind in get_args(entry.type) or (entry.type,)]
    return sorted({value for kind in kinds for value in _few(kind)})


def _few(kind: Any) -> list[str]:
    if kind is bool:
        return ["true", "false"]
    return [str(member.value) for member in kind] if isinstance(kind, type) and issubclass(kind, Enum) else []


def _declared(key: str) -> Iterator[Field[Any]]:
    """Yield where a key is declared; a group's key may be declared by several of its options."""
    *parents, leaf = key.split(".")
    schemas: list[type] = [Config]
    for name in parents:
        types = [entry.type for schema in schemas for entry in fields(schema) if entry.name == name]
        options = CLASSES_BY_GROUP.get(name, {}).values() if schemas == [Config] else ()
        schemas = [*options, *(kind for kind in types if isinstance(kind, type) and is_dataclass(kind))]
    yield from (entry for schema in schemas for entry in fields(schema) if entry.name == leaf)
