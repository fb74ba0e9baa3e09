"""What several parts do with files: name them, make them last, tell whether they were altered, keep them private."""

import hashlib
import os
import re
from pathlib import Path

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
