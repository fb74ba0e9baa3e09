"""One institution's own text: the documents that its site file names, under the federation's label contract.

A site's text is identified by a digest of the files' contents, of the label contract and of the site file's `data` and
`labels`. Files are read once for each digest, and hashed again only where their size, times or inode changed.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from fedner.config import FilesData
from fedner.config.site import SiteConfig, read_site
from fedner.data.checking import CheckReport, check_piece, missing_splits
from fedner.data.corpus import SPLITS, Shard
from fedner.data.labels import LabelContract, read_contract
from fedner.data.mapping import LabelMap, own_pieces, read_site_shard
from fedner.errors import ConfigError, DataError
from fedner.files import file_digest

_TEXTS = 4
"""Texts that a process keeps; a site's own process needs one, a federation in one process one a site."""
_PAIR = (".txt", ".ann")

FileState = tuple[str, int, int, int, int]
"""Path, bytes, times of the last change of content and of inode (ns), inode."""


@dataclass(frozen=True)
class OwnText:
    """A site's text and contract, as read from its files."""

    contract: LabelContract
    shard: Shard


def current_site(path: Path) -> SiteConfig:
    """Return what a site file says now; it is parsed again only when it changed.

    Raises:
        ConfigError: as `read_site`.
    """
    try:
        return _site(path, _state(path))
    except OSError:
        return read_site(path)  # which says what is wrong


def text_digest(site_file: Path, contract_file: Path) -> str:
    """Return the SHA-256 (hex) of what a site's text is now; the policy and the machine are no part of it.

    Raises:
        ConfigError: the site file is at fault.
        DataError: one of the files cannot be read.
    """
    site = current_site(site_file)
    _require_no_contract(site, site_file)
    settings = json.dumps([site.site, asdict(site.data), asdict(site.labels)])
    files = [contract_file, *_files(site.data)]
    try:
        return _digest(settings, tuple(map(_state, files)))
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", error.filename) from error


def own_text(site_file: Path, contract_file: Path, digest: str) -> OwnText:
    """Return the text of this digest; it is read once.

    Raises:
        ConfigError, DataError, LabelError: as `read_own_shard`.
        DataError: the files have another digest by now.
    """
    return _text(site_file, contract_file, digest)


def read_own_shard(site_file: Path, contract_file: Path) -> Shard:
    """Read the documents that a site file names; the contract is the kit's, whatever the site file says.

    Raises:
        ConfigError: the site file is at fault.
        DataError: one of its files is missing or wrong, or a split is empty.
        LabelError: a tag, the site file's labels or the contract itself does not fit.
    """
    site = read_site(site_file)
    _require_no_contract(site, site_file)
    return read_site_shard(site, read_contract(contract_file))


def check_own_text(site_file: Path, contract_file: Path) -> CheckReport:
    """Read everything that a site file names, and report its content by the site's own types, and its faults.

    Raises:
        ConfigError: the site file is at fault.
        DataError: a file cannot be found.
        LabelError: the site file's labels or the contract itself does not fit.
    """
    site, contract = read_site(site_file), read_contract(contract_file)
    _require_no_contract(site, site_file)
    mapping = LabelMap(site.labels, contract)
    files = tuple(check_piece(piece, mapping.own_types(piece.split)) for piece in own_pieces(site, mapping))
    return CheckReport(site.site, contract.digest, contract.type_names, files, warnings=tuple(missing_splits(files)))


@lru_cache(maxsize=_TEXTS)
def _site(path: Path, state: FileState) -> SiteConfig:
    return read_site(path)


@lru_cache(maxsize=_TEXTS)
def _digest(settings: str, files: tuple[FileState, ...]) -> str:
    contents = [(path, file_digest(Path(path))) for path, *_ in files]
    return sha256(json.dumps([settings, contents]).encode()).hexdigest()


@lru_cache(maxsize=_TEXTS)
def _text(site_file: Path, contract_file: Path, digest: str) -> OwnText:
    text = OwnText(read_contract(contract_file), read_own_shard(site_file, contract_file))
    if text_digest(site_file, contract_file) != digest:
        raise DataError("the site's files changed while they were read; ask again when they are whole", site_file)
    return text


def _files(data: FilesData) -> Iterator[Path]:
    """Yield every file that reading may open; of BRAT, the files of a folder and both files of a pair."""
    for path in (Path(name) for split in SPLITS for name in getattr(data, split)):
        if path.is_dir():
            yield from (file for file in sorted(path.rglob("*")) if file.is_file())
        else:
            yield path
            if path.suffix.lower() in _PAIR:
                others = (path.with_suffix(suffix) for suffix in _PAIR)
                yield from (other for other in others if other != path and other.is_file())
    if data.exclude_documents is not None:
        yield Path(data.exclude_documents)


def _state(path: Path) -> FileState:
    found = path.stat()
    return str(path), found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _require_no_contract(site: SiteConfig, path: Path) -> None:
    if site.data.contract.types or site.data.contract_file is not None:
        raise ConfigError(
            f"{path}: data.contract: expected no label contract, since the federation's comes with the kit, got one"
        )
