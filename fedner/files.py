"""What several parts do with files: name them, make them last, tell whether they were altered, keep them private."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedner.errors import RunDirectoryError

PRIVATE_MODE = 0o600


def flush_folder(folder: Path) -> None:
    """Make renames in a folder survive a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_file(path: Path) -> None:
    """Make a file's content survive a power failure."""
    with path.open("rb") as content:
        os.fsync(content.fileno())


def file_digest(path: Path) -> str:
    """Return a file's SHA-256 (hex)."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def safe_name(name: str) -> str:
    """Return a name that files, folders and trackers take anywhere, still different for different names."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read, from its first byte on."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, PRIVATE_MODE)  # a umask can only have taken bits away, even the owner's
        file.write(content)


def is_private(path: Path) -> bool:
    """Return whether nobody but a file's owner may read or write it."""
    return path.stat().st_mode & 0o077 == 0


def reason_of(error: Exception) -> str:
    """Return why a file could not be written, without its path, for what is told beyond this machine."""
    return str(error.strerror if isinstance(error, OSError) else error)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically: a reader sees the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(draft, path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        RunDirectoryError: the file is missing or is not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise RunDirectoryError(f"{path}: expected a JSON file of a run, got none ({error})") from error
    if not isinstance(content, dict):
        raise RunDirectoryError(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content
