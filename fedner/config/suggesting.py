"""What somebody who mistyped a name or key may have meant."""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from difflib import get_close_matches


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'X'?)" for the known name closest to an unknown one, upper and lower case alike.

    A dotted key is compared with the keys beside it, or with all if its parent is unknown. The text is empty if nothing
    is close or the name is known.
    """
    names = list(known)
    if name in names:
        return ""
    parent, _, leaf = name.rpartition(".")
    beside = {other.rpartition(".")[2].casefold(): other for other in names if other.rpartition(".")[0] == parent}
    by_folded = beside or {other.casefold(): other for other in names}
    close = get_close_matches((leaf if beside else name).casefold(), by_folded, n=1)
    return f" (did you mean {by_folded[close[0]]!r}?)" if close else ""


def keys_of(schema: type, prefix: str = "") -> set[str]:
    """Return every dotted key of a config class, nested ones included."""
    keys: set[str] = set()
    for entry in fields(schema):
        keys.add(prefix + entry.name)
        if isinstance(entry.type, type) and is_dataclass(entry.type):
            keys |= keys_of(entry.type, f"{prefix}{entry.name}.")
    return keys
