"""Every key of the configuration with type, default and meaning, read from where they are declared."""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from typing import Any, get_args, get_origin

from fedner.config import (
    CLASSES_BY_GROUP,
    Config,
    ExperimentConfig,
    FederationConfig,
    ModelConfig,
    TrackingConfig,
    TrainingConfig,
)
from fedner.config.site import SiteConfig

SINGLE_GROUPS: dict[str, type] = {
    "model": ModelConfig,
    "training": TrainingConfig,
    "federation": FederationConfig,
    "experiment": ExperimentConfig,
    "tracking": TrackingConfig,
}

HEAD = """\
# Configuration

Every value can be set after a verb, as in `fedner simulate training.lr=2e-4`. A group is chosen by its option, as in
`partition=dirichlet`, and each option has the keys listed under it. The site file, `site.yaml`, is no part of that: it
is written and read at the site alone, and its `data` has the keys of `data: files`. This page is what
`fedner config --keys` prints.
"""


def reference() -> str:
    """Return the page docs/configuration.md."""
    parts = [HEAD, _section("Top level", Config, "")]
    for group, classes in CLASSES_BY_GROUP.items():
        for kind, schema in classes.items():
            parts.append(_section(f"`{group}`: {kind}", schema, f"{group}."))
    for group, schema in SINGLE_GROUPS.items():
        parts.append(_section(f"`{group}`", schema, f"{group}."))
    parts.append(_section("The site file", SiteConfig, ""))
    return "\n".join(parts)


def _section(title: str, schema: type, prefix: str) -> str:
    rows = [
        f"| `{prefix}{key}` | {kind} | {default} | {meaning} |" for key, kind, default, meaning in _rows(schema, "")
    ]
    table = ["| key | type | default | meaning |", "| --- | --- | --- | --- |", *rows]
    return "\n".join([f"## {title}", "", inspect.getdoc(schema) or "", "", *table, ""])


def _rows(schema: type, prefix: str) -> Iterator[tuple[str, str, str, str]]:
    meanings = _meanings(schema)
    for entry in fields(schema):
        if entry.name == "kind" or entry.name in CLASSES_BY_GROUP or entry.name in SINGLE_GROUPS:
            continue
        if isinstance(entry.type, type) and is_dataclass(entry.type):
            yield from _rows(entry.type, f"{prefix}{entry.name}.")
        else:
            yield prefix + entry.name, _kind(entry), _default(entry), meanings.get(entry.name, "")


def _meanings(schema: type) -> dict[str, str]:
    """Return field -> the string that stands under it in the source, base classes included."""
    found: dict[str, str] = {}
    for base in reversed(schema.__mro__):
        if not is_dataclass(base):
            continue
        body = ast.parse(inspect.getsource(base)).body[0]
        assert isinstance(body, ast.ClassDef)
        for statement, after in zip(body.body, body.body[1:], strict=False):
            told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and told:
                found[statement.target.id] = " ".join(str(after.value.value).split())  # pyright: ignore
    return found


def _kind(entry: Field[Any]) -> str:
    parts = get_args(entry.type) or (entry.type,)
    enum = next((part for part in parts if isinstance(part, type) and issubclass(part, Enum)), None)
    if enum is not None and get_origin(entry.type) is not list:
        return ", ".join(f"`{member.value}`" for member in enum) + (" or null" if type(None) in parts else "")
    name = (
        entry.type.__name__ if isinstance(entry.type, type) and not hasattr(entry.type, "__args__") else str(entry.type)
    )
    for module in ("knobs", "policy"):
        name = name.replace(f"fedner.config.{module}.", "")
    return name.replace(" | None", " or null").replace("|", "or")


def _default(entry: Field[Any]) -> str:
    value = entry.default_factory() if entry.default_factory is not MISSING else entry.default
    if value == "???":
        return "required"
    if isinstance(value, list):
        return "`[" + ", ".join(str(getattr(each, "value", each)) for each in value) + "]`"
    return "`null`" if value is None else f"`{getattr(value, 'value', value)}`"
