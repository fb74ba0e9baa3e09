"""Files on disk: safe names, atomic and durable writes, digests, private modes."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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


@contextmanager
def replacing(path: Path, *, flushed: bool = False) -> Iterator[Path]:
    """Yield a draft beside `path`, which takes its place when the block ends: readers see the old state or the new one.

    The block writes the draft as a file, or makes it a folder. If the block raises, the draft is removed and `path`
    stays as it was.

    Args:
        path: a file, or a folder that does not exist yet or is empty; its parent exists.
        flushed: make the content and the rename survive a power failure too, which costs a few milliseconds.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _remove(draft)  # a killed process may have had the same number
        yield draft
        if flushed:
            for file in (path for path in draft.rglob("*") if path.is_file()) if draft.is_dir() else (draft,):
                flush_file(file)
            if draft.is_dir():
                flush_folder(draft)
        os.replace(draft, path)
    except BaseException:
        _remove(draft)
        raise
    if flushed:
        flush_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with `\\n` line ends atomically."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")


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
    """Return why a file could not be written, without its path, which must not leave this machine."""
    return str(error.strerror if isinstance(error, OSError) else error)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


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


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
