"""Transactions on a folder: it is changed as a whole or not at all.

    .NAME.lock    locked while somebody changes the folder
    .NAME.draft   the staged copy that the changes go to; worth nothing after a crash
    .NAME.before  the state before, during the swap; after a crash it is restored, unless the new one is in place

The staged copy is flushed to disk; two renames put it in place.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fedner.errors import ConfigError, RunError
from fedner.files import flush_file, flush_folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the folder against changes by other processes, and recover from a crash.

    Raises:
        ConfigError: the working directory is the folder or lies in it, and would be gone.
        RunError: somebody else is changing it.
    """
    if Path.cwd().is_relative_to(folder.resolve()):
        raise ConfigError(
            f"{folder}: expected to be run from outside this folder, as it is replaced as a whole; cd out of it"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(_beside(folder, "lock"), timeout=0):
            _mend(folder)
            yield
    except Timeout as error:
        raise RunError(f"{folder}: another fedner is changing it; wait until that is done") from error


@contextmanager
def staged_copy(folder: Path) -> Iterator[Path]:
    """Yield a staged copy of the folder and swap it in on success; an error leaves the folder as it was.

    Files that are not changed keep their bytes, times and modes. Requires the lock (`locked`).
    """
    staged = _beside(folder, "draft")
    try:
        if folder.exists():
            shutil.copytree(folder, staged, symlinks=True)
        else:
            staged.mkdir()
        staged.chmod(0o700)
        yield staged
        _flush(staged)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    if folder.exists():
        os.rename(folder, _beside(folder, "before"))
    os.rename(staged, folder)
    flush_folder(folder.parent)
    shutil.rmtree(_beside(folder, "before"), ignore_errors=True)


def _mend(folder: Path) -> None:
    before = _beside(folder, "before")
    if before.exists() and not folder.exists():
        os.rename(before, folder)
    for left in (before, _beside(folder, "draft")):
        shutil.rmtree(left, ignore_errors=True)


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            flush_file(path)
    for path in (folder, *(each for each in folder.rglob("*") if each.is_dir())):
        flush_folder(path)


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(f".{folder.name}.{suffix}")
