"""The files of a comparison, which come from other institutions: strict to read, and new or not at all to write."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar

from fedner.config.typed import fits, typed
from fedner.data.corpus import SPLITS
from fedner.data.reading.json_values import read_values
from fedner.errors import DataError
from fedner.files import write_private

VERSION = 1
LIMIT_BYTES = 64 * 1024 * 1024
_EIGHT_BYTES = re.compile("[0-9a-f]{16}")
T = TypeVar("T")


def is_site_name(name: str) -> bool:
    """Return whether a site may bear this name in the files of a comparison, which tables show."""
    return 0 < len(name) <= 100 and name.isprintable()


SiteName = Annotated[str, fits(is_site_name, "a site's name of 1 to 100 characters that can be shown")]
Split = Annotated[str, fits(SPLITS.__contains__, f"one of {', '.join(SPLITS)}")]
KeyId = Annotated[str, fits(_EIGHT_BYTES.fullmatch, "16 hexadecimal digits")]
Reference = Annotated[str, fits(_EIGHT_BYTES.fullmatch, "a reference of 16 hexadecimal digits")]


def read_object(path: Path, form: str, what: str, schema: type[T]) -> T:
    """Return the one JSON object in a file, without its format and version, as a dataclass.

    Raises:
        DataError: the file is missing, too long, no such JSON, of another format or version, or a key is unknown,
            missing or ill-typed.
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
    members = {name: each.value for name, each in values[0].fields().items()}
    found, version = members.pop("format", None), members.pop("version", None)
    if found != form:
        raise DataError(f"expected {what} (format {form!r}), got format {found!r:.80}", path)
    if type(version) is not int or version != VERSION:
        raise DataError(
            f"expected {what} of version {VERSION}, got {version!r:.80}; use the fedner that wrote it", path
        )
    return typed(members, schema, lambda sentence: DataError(sentence, path))


def require_new(*paths: Path) -> None:
    """Refuse to go on where a file would be in the way of one that is written later.

    Raises:
        DataError: a file is there.
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
