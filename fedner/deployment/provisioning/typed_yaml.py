"""YAML files that may come from another machine -> typed values, or an error that names file and key.

Nothing is converted and nothing is acted on: no object tags, no interpolation, no key twice, no number for a text.
"""

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml

from fedner.config.plain import refuse_unsafe
from fedner.config.strict_yaml import read_yaml
from fedner.data.labels import suggestion
from fedner.errors import ConfigError

T = TypeVar("T")

_NAMES = {str: "text (in quotes, if it looks like a number)", int: "a whole number", bool: "true or false"}


def read_typed(path: Path, schema: type[T], what: str, given: Mapping[str, object] | None = None) -> T:
    """Read a YAML file as a dataclass.

    Args:
        path: the file.
        schema: a dataclass of texts, numbers, moments, enums, lists and dataclasses of these.
        what: what the file is called in errors.
        given: fields that the caller knows and the file must not say.

    Raises:
        ConfigError: the file is missing, too long or no such YAML, a key is unknown or missing, or a value is ill-typed
            or out of range; the message names file and key.
    """
    plain = read_yaml(path, what)
    try:
        return _dataclass(schema, plain, "", given or {})
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def write_plain(path: Path, content: Mapping[str, object], opening: str = "") -> None:
    """Write plain values as YAML, in the order given, after an opening comment."""
    text = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=1_000_000)
    comment = "".join(f"# {line}\n" for line in opening.splitlines())
    path.write_text(comment + text, encoding="utf-8")


def _dataclass(schema: type[T], plain: object, key: str, given: Mapping[str, object]) -> T:
    entries: dict[str, Field[Any]] = {entry.name: entry for entry in fields(cast(Any, schema))}
    expected = [name for name in entries if name not in given]
    if not isinstance(plain, dict):
        raise ConfigError(f"{key or 'file'}: expected the keys {', '.join(expected)}, got {_found(plain)}")
    told = cast(dict[object, object], plain)
    for name in told:
        if name not in expected:
            place = f"{key}.{name}" if key else str(name)
            raise ConfigError(f"{place}: no such key{suggestion(str(name), expected)}; keys are {', '.join(expected)}")
    values = dict(given)
    kinds = get_type_hints(schema)
    for name in expected:
        place = f"{key}.{name}" if key else name
        if name in told:
            values[name] = _value(kinds[name], told[name], place)
        elif entries[name].default is MISSING and entries[name].default_factory is MISSING:
            raise ConfigError(f"{place}: expected this key, got none")
    return schema(**values)


def _value(kind: Any, plain: object, key: str) -> object:
    if isinstance(kind, types.UnionType):
        (kind,) = [each for each in get_args(kind) if each is not types.NoneType]
        return None if plain is None else _value(kind, plain, key)
    if is_dataclass(kind):
        return _dataclass(cast(type[object], kind), plain, key, {})
    if get_origin(kind) is tuple:
        if not isinstance(plain, list):
            raise ConfigError(f"{key}: expected a list, got {_found(plain)}")
        (each, _) = get_args(kind)
        return tuple(_value(each, item, f"{key}[{index}]") for index, item in enumerate(cast(list[object], plain)))
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        known = [str(member) for member in kind]
        if not isinstance(plain, str) or plain not in known:
            hint = suggestion(plain, known) if isinstance(plain, str) else ""
            raise ConfigError(f"{key}: expected one of {', '.join(known)}, got {_found(plain)}{hint}")
        return kind(plain)
    if kind is datetime:
        if not isinstance(plain, datetime) or plain.tzinfo is None:
            raise ConfigError(f"{key}: expected a moment such as 2026-01-31 12:00:00+00:00, got {_found(plain)}")
        return plain
    if type(plain) is not kind:
        raise ConfigError(f"{key}: expected {_NAMES[kind]}, got {_found(plain)}")
    refuse_unsafe(plain, key)
    return plain


def _found(plain: object) -> str:
    # Lists and mappings are named, not shown: aliases can make a short file print without end.
    if isinstance(plain, dict | list):
        return "a list" if isinstance(plain, list) else "keys and values"
    shown = repr(plain)
    return shown if len(shown) <= 80 else f"{shown[:77]}…"
