"""Which key somebody who mistyped one may have meant."""

import difflib
from collections.abc import Collection
from dataclasses import fields, is_dataclass


def with_suggestion(key: str, message: str, known: Collection[str]) -> str:
    """Return the message with the known keys closest to an unknown one, those beside it before any others."""
    parent, _, leaf = key.rpartition(".")
    leaves = {name.rpartition(".")[2]: name for name in known if name.rpartition(".")[0] == parent}
    if leaf in leaves:
        return message
    close = [leaves[name] for name in difflib.get_close_matches(leaf, leaves, n=2)]
    close = close or difflib.get_close_matches(key, known, n=2)
    return f"{message}; did you mean {' or '.join(close)}?" if close else message


def keys_of(schema: type, prefix: str = "") -> set[str]:
    """Return every dotted key of a config class, nested ones included."""
    keys: set[str] = set()
    for entry in fields(schema):
        keys.add(prefix + entry.name)
        if isinstance(entry.type, type) and is_dataclass(entry.type):
            keys |= keys_of(entry.type, f"{prefix}{entry.name}.")
    return keys
