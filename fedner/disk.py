"""What several parts do with files: make them survive a power failure, and tell whether they are what they were."""

import hashlib
import os
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
