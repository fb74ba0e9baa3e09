"""Checks that the app that the server sent is the one that this site has installed.

Flower ships an app as a zip archive of code and runs that at the sites. A fedner site runs its own installation and
nothing else; it inspects the archive, without unpacking it, only to learn whose requests these are: another app, or
another fedner than the site's, is refused by name. No file of it is ever written to disk, imported or executed.
"""

import hashlib
import re
import stat
import tomllib
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path, PurePosixPath

import fedner
from fedner.config.policy import AppsPolicy
from fedner.refusals import Refusal, RefusalCode

CLIENT_APP = "fedner.site.app:app"
LARGEST_BYTES = 32 * 1024**2
"""Of a whole bundle; fedner's own code has less than one."""
_LARGEST_PYPROJECT = 1 << 20
_PROSE = re.compile(r"\.info/.+|LICENSE|NOTICE|\.gitignore|[^/]+\.md")


@dataclass(frozen=True)
class AnnouncedApp:
    """What the server says of the app it sends: publisher/name, version and SHA-256 (hex)."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True)
class _RefusedError(Exception):
    """Why a bundle is refused."""

    sentence: str


def judge_bundle(content: bytes, announced: AnnouncedApp, policy: AppsPolicy) -> Refusal | None:
    """Return why requests that come with this bundle are refused, or None if it is an app that the site listens to.

    Args:
        content: the bundle.
        announced: the server's description of it.
        policy: the apps that the site listens to.
    """
    try:
        digest = hashlib.sha256(content).hexdigest()
        if len(content) > LARGEST_BYTES:
            raise _RefusedError(f"it is larger than {LARGEST_BYTES // 1024**2} MiB")
        if digest != announced.digest:
            raise _RefusedError("its bytes are not those that the server announced")
        with zipfile.ZipFile(BytesIO(content)) as archive:
            _check_identity(archive, announced)
            _check_files(archive)
        _check_policy(announced, policy)
    except _RefusedError as refusal:
        return Refusal(RefusalCode.app, f"the site does not listen to this app: {refusal.sentence}")
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, TypeError, RuntimeError, NotImplementedError):
        return Refusal(
            RefusalCode.app, "the site does not listen to this app: it cannot be read as a Flower app bundle"
        )
    return None


def _check_identity(archive: zipfile.ZipFile, announced: AnnouncedApp) -> None:
    if archive.getinfo("pyproject.toml").file_size > _LARGEST_PYPROJECT:
        raise _RefusedError("its pyproject.toml is too large")
    project = tomllib.loads(archive.read("pyproject.toml").decode("utf-8"))
    app = project["tool"]["flwr"]["app"]
    name, version = f"{app['publisher']}/{project['project']['name']}", project["project"]["version"]
    if (name, version) != (announced.name, announced.version):
        raise _RefusedError("its name or version is not what the server announced")
    if app["components"].get("clientapp") != CLIENT_APP:
        raise _RefusedError(f"its client app is not {CLIENT_APP}")


def _check_files(archive: zipfile.ZipFile) -> None:
    """Refuse code that is not the site's own, byte for byte."""
    seen: set[str] = set()
    own = installed_files()
    differing = 0
    for entry in archive.infolist():
        path = PurePosixPath(entry.filename)
        strange = path.is_absolute() or ".." in path.parts or "\\" in entry.filename or entry.filename in seen
        if strange or stat.S_ISLNK(entry.external_attr >> 16):
            raise _RefusedError("a file of it has a name or kind that no app bundle of ours has")
        seen.add(entry.filename)
        if entry.is_dir() or entry.filename == "pyproject.toml" or _PROSE.fullmatch(entry.filename):
            continue
        size, digest = own.get(entry.filename, (-1, ""))
        if size < 0:
            raise _RefusedError("it brings files that are not part of the fedner installed at the site")
        differing += entry.file_size != size or hashlib.sha256(archive.read(entry)).hexdigest() != digest
    if differing:
        raise _RefusedError(
            f"{differing} of its files differ from the fedner installed at the site; install the same fedner "
            "everywhere, or submit an app without code"
        )


def _check_policy(announced: AnnouncedApp, policy: AppsPolicy) -> None:
    for what, value, allowed in (
        ("name", announced.name, policy.names),
        ("version", announced.version, policy.versions),
        ("hash", announced.digest, policy.hashes),
    ):
        if value not in allowed and (allowed or what == "name"):
            raise _RefusedError(f"its {what} is not among those that the site's policy allows")


@lru_cache(maxsize=1)
def installed_files() -> dict[str, tuple[int, str]]:
    """Return the Python files of the installed fedner: path in the package's parent -> size and SHA-256 (hex)."""
    package = Path(fedner.__file__).resolve().parent
    files = [path for path in sorted(package.rglob("*.py")) if path.is_file()]
    contents = {path.relative_to(package.parent).as_posix(): path.read_bytes() for path in files}
    return {name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in contents.items()}
