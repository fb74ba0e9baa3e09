"""Seals a folder as a kit (modes, checksums, their signature, an archive), and verifies kits.

`SHA256SUMS` is what `sha256sum -c` reads; `SHA256SUMS.sig` is the authority's signature of it. ca.crt comes with the
kit, so the signature shows that the kit is whole and from one hand; the fingerprint that people compare says whose.
"""

import gzip
import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fedner.data.labels import read_contract
from fedner.deployment.provisioning.certificates import Authority, certificate_fingerprint, read_certificates, signed_by
from fedner.deployment.provisioning.kit import Kit, Party, read_kit
from fedner.errors import FednerError
from fedner.files import PRIVATE_MODE, file_digest, is_private

SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.sig"
_SECRET = (".key", ".token")
_SUM_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)?)")
_KEYS_OF_OTHERS = {
    Party.coordinator: (),
    Party.server: ("ca.key",),
    Party.site: ("ca.key", "server.key"),
}


@dataclass(frozen=True)
class Verdict:
    """The result of verifying a kit: alterations, in sentences, and keys and tokens that others can read.

    `fingerprint` is that of the authority in the kit, which people compare.
    """

    kit: Kit
    fingerprint: str
    altered: tuple[str, ...]
    exposed: tuple[Path, ...]

    @property
    def ok(self) -> bool:
        """True if nothing is wrong."""
        return not self.altered and not self.exposed


def seal(folder: Path, signer: Authority) -> None:
    """Set modes, write checksums and signature, and put the archive beside the folder."""
    for path in (folder / SUMS, folder / SIGNATURE):
        path.unlink(missing_ok=True)
    files = _files(folder)
    for path in files.values():
        path.chmod(_mode(path))
    secret = any(path.suffix in _SECRET for path in files.values())
    for path in (folder, *(each for each in folder.iterdir() if each.is_dir())):
        path.chmod(0o700 if secret else 0o755)
    sums = "".join(f"{file_digest(path)}  {name}\n" for name, path in files.items()).encode()
    (folder / SUMS).write_bytes(sums)
    (folder / SIGNATURE).write_bytes(signer.sign(sums))
    archive = archive_of(folder)
    archive.unlink(missing_ok=True)
    archive.touch(mode=PRIVATE_MODE if secret else 0o644)
    archive.write_bytes(_archive(folder, secret))


def archive_of(folder: Path) -> Path:
    """Return where a kit's archive lies."""
    return folder.with_name(f"{folder.name}.tar.gz")


def verify(folder: Path, trusted: Path | None = None) -> Verdict:
    """Check that a kit is as it was issued and that its private keys are private.

    Args:
        folder: the kit.
        trusted: ca.crt of a kit that is trusted already; the one in the kit unless given.

    Raises:
        ConfigError: there is no kit, or its description or authority cannot be read.
    """
    kit = read_kit(folder)
    (authority, *_) = certificates = read_certificates(kit.ca_certificate)
    signers = certificates if trusted is None else read_certificates(trusted)
    try:
        sums, signature = (folder / SUMS).read_bytes(), (folder / SIGNATURE).read_bytes()
    except OSError as error:
        problems = [f"{error.filename}: expected checksums and their signature, got none; ask for the kit again"]
    else:
        problems = [] if signed_by(sums, signature, signers) else [_unsigned(folder, trusted)]
        problems += _check_files(kit, sums.decode("ascii", "replace"))
    problems += _foreign_keys(kit) + _check_contract(kit)
    exposed = (path for path in sorted(folder.iterdir()) if path.suffix in _SECRET and not is_private(path))
    return Verdict(kit, certificate_fingerprint(authority), tuple(problems), tuple(exposed))


def _unsigned(folder: Path, trusted: Path | None) -> str:
    whose = "the authority in the kit" if trusted is None else f"an authority in {trusted}"
    return (
        f"{folder / SIGNATURE}: expected a signature by {whose}, got another; the kit was altered or is not from this "
        "coordinator: do not use it, ask for it again"
    )


def _check_files(kit: Kit, sums: str) -> list[str]:
    listed: dict[str, str] = {}
    problems: list[str] = []
    for number, line in enumerate(sums.splitlines(), start=1):
        found = _SUM_LINE.fullmatch(line)
        if found is None:
            problems.append(
                f"{kit.folder / SUMS}:{number}: expected a checksum and a plain file name, got another line"
            )
        else:
            listed[found[2]] = found[1]
    files = _files(kit.folder)
    for name, digest in listed.items():
        path = kit.folder / name
        if name not in files:
            problems.append(f"{path}: expected this file, got none; ask for the kit again")
        elif path.is_symlink() or file_digest(path) != digest:
            problems.append(f"{path}: expected the file as it was issued, got it altered; ask for the kit again")
    if kit.party is not Party.site:
        # A public key that slips in would be registered as a site's, a token would be taken for the coordinator's.
        strangers = [name for name in files if name not in listed]
        problems += [f"{kit.folder / name}: not among the files that were signed; remove it" for name in strangers]
    return problems


def _foreign_keys(kit: Kit) -> list[str]:
    found = [kit.folder / name for name in _KEYS_OF_OTHERS[kit.party] if (kit.folder / name).exists()]
    return [f"{path}: a private key that the {kit.party} must not have; tell the coordinator" for path in found]


def _check_contract(kit: Kit) -> list[str]:
    try:
        digest = read_contract(kit.contract_file).digest
    except FednerError as error:
        return [str(error)]
    if digest == kit.contract_hash:
        return []
    return [f"{kit.contract_file}: expected the label contract {kit.contract_hash[:12]}…, got {digest[:12]}…"]


def _files(folder: Path) -> Mapping[str, Path]:
    """Return what is to be signed, by name, in the order of names."""
    paths = (path for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: named[name] for name in sorted(named) if name not in (SUMS, SIGNATURE)}


def _mode(path: Path) -> int:
    return PRIVATE_MODE if path.suffix in _SECRET else 0o644


def _archive(folder: Path, secret: bool) -> bytes:
    """Return the kit as .tar.gz: the same bytes for the same kit, whoever packs it and when."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path in [folder, *sorted(folder.rglob("*"))]:
            member = tarfile.TarInfo(path.relative_to(folder.parent).as_posix())
            if path.is_dir():
                member.type, member.mode = tarfile.DIRTYPE, 0o700 if secret else 0o755
                archive.addfile(member)
            else:
                content = path.read_bytes()
                member.size, member.mode = len(content), _mode(path)
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
