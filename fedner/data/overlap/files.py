"""The files of a comparison, which come from other institutions: strict to read, and new or not at all to write."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from fedner.data.reading.json_values import Value, read_values
from fedner.errors import DataError
from fedner.files import write_private

VERSION = 1
LIMIT_BYTES = 64 * 1024 * 1024
_LONGEST_NAME = 100


def read_object(path: Path, form: str, what: str) -> dict[str, Value]:
    """Return the members of the one JSON object in a file, without its format and version.

    Raises:
        DataError: the file is missing, too long, no such JSON, or of another format or version.
    """
    try:
        known, size = path.is_file(), path.stat().st_size
    except OSError as error:
        raise DataError(f"expected {what}, got none ({error.strerror})", path) from error
    if not known:
        raise DataError(f"expected {what}, got no ordinary file", path)
    if size > LIMIT_BYTES:
        raise DataError(f"expected {what} of at most {LIMIT_BYTES:,} bytes, got {size:,}", path)
    values = list(read_values(path))
    if len(values) != 1:
        raise DataError(f"expected {what}, one JSON object, got {len(values)} values", path)
    members = dict(values[0].fields())
    found = members.pop("format").value if "format" in members else None
    if found != form:
        raise DataError(f"expected {what} (format {form!r}), got format {found!r:.80}", path)
    version = members.pop("version").number() if "version" in members else None
    if version != VERSION:
        raise DataError(f"expected {what} of version {VERSION}, got {version}; use the fedner that wrote it", path)
    return members


def require_members(members: Mapping[str, Value], wanted: Iterable[str], path: Path, inside: str = "") -> None:
    """Refuse members that are missing or unknown.

    Raises:
        DataError: as said.
    """
    names = tuple(wanted)
    if set(members) != set(names):
        place = f"{inside}: " if inside else ""
        missing = ", ".join(name for name in names if name not in members) or "nothing"
        unknown = ", ".join(f"{name!r:.80}" for name in members if name not in names) or "nothing"
        raise DataError(f"{place}expected {', '.join(names)}; missing: {missing}, unknown: {unknown:.300}", path)


def site_name(value: Value) -> str:
    """Return a site's name, which tables show.

    Raises:
        DataError: it is empty, long, or holds what cannot be shown.
    """
    name = value.text()
    if not is_site_name(name):
        raise value.wrong(f"a site's name of 1 to {_LONGEST_NAME} characters that can be shown")
    return name


def is_site_name(name: str) -> bool:
    """Say whether a site may bear this name in the files of a comparison."""
    return 0 < len(name) <= _LONGEST_NAME and name.isprintable()


def one_of(value: Value, known: Iterable[str]) -> str:
    """Return text that must be one of some.

    Raises:
        DataError: it is another.
    """
    names = tuple(known)
    if value.value not in names:
        raise value.wrong(f"one of {', '.join(names)}")
    return str(value.value)


def require_new(*paths: Path) -> None:
    """Refuse to go on where a file would be in the way of one that is written later.

    Raises:
        DataError: as said.
    """
    for path in paths:
        if path.exists():
            raise DataError("expected a new file, got one that is there already", path)


def write_object(path: Path, form: str, members: Mapping[str, object]) -> None:
    """Write a new file that only its owner can read.

    Raises:
        DataError: there is a file already, or it cannot be written.
    """
    content = json.dumps({"format": form, "version": VERSION, **members}, indent=0, separators=(",", ":")) + "\n"
    try:
        write_private(path, content.encode())
    except FileExistsError as error:
        raise DataError("expected a new file, got one that is there already", path) from error
    except OSError as error:
        raise DataError(f"cannot be written ({error.strerror})", path) from error
