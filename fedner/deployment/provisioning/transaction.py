"""A folder that is changed as a whole or not at all.

    .NAME.lock    held while somebody changes the folder
    .NAME.draft   the next state while it is written; worth nothing after a crash
    .NAME.before  the last state while the two change places; after a crash it comes back, unless the new one is there

Everything is written to the draft and flushed; two renames put it in place.
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
def held(folder: Path) -> Iterator[None]:
    """Keep others from changing the folder, and mend what a crash left behind.

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
def redrafted(folder: Path) -> Iterator[Path]:
    """Give a copy to change, and put it in the folder's place at the end; an error leaves the folder as it was.

    Files that are not changed keep their bytes, times and modes. To be used while the folder is `held`.
    """
    draft = _beside(folder, "draft")
    try:
        if folder.exists():
            shutil.copytree(folder, draft, symlinks=True)
        else:
            draft.mkdir()
        draft.chmod(0o700)
        yield draft
        _flush(draft)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    if folder.exists():
        os.rename(folder, _beside(folder, "before"))
    os.rename(draft, folder)
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
