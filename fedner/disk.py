"""What several parts do with files: name them, make them survive a power failure, tell whether they were altered."""

import hashlib
import os
import re
from pathlib import Path


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
