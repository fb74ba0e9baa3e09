"""An append-only record, one JSON object a line, in which each line carries the hash of the one before.

    {"number": 7, "time": "…", "event": "asked", …, "previous": "<hash of line 6>","hash":"<SHA-256 of all before>"}

A line's hash covers its exact bytes, so that no byte of the file can change, and no line can go, come, move or be
doubled within it, without a hash or number that does not fit. Whoever may write the file can write it anew from a line
on to its end, or cut lines off its end: both show only against a head, a line's number and hash, kept elsewhere.
`Trail.append` can write each head to an anchor file as it goes; `audit_check` holds a trail against any heads.

A process that dies while it writes leaves a line that is cut short. It stays; the next line written says how many such
bytes there are and what they hash to. Several processes may write to one trail.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fedner.audit.entries import Entry, TornLine, TrailOpened
from fedner.errors import AuditError
from fedner.files import flush_folder

GENESIS = "0" * 64
"""Stands in the first line for the hash of the line before."""

_TAIL_BYTES = 1 << 16
_MARK = b',"hash":"'
_END = b'"}\n'
_HASH_BYTES = 64


@dataclass(frozen=True)
class Head:
    """A line of a trail, by its number from 0 and its hash."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number} {self.hash}"


@dataclass(frozen=True)
class ChainedLine:
    """A line whose own hash fits."""

    number: int
    previous: str
    hash: str
    content: dict[str, Any]

    @property
    def head(self) -> Head:
        """The line as a head."""
        return Head(self.number, self.hash)


@dataclass(frozen=True)
class Trail:
    """A trail's file and who keeps it.

    Args:
        path: the file; made with its first line, readable by its owner alone.
        keeper: the site's name, or the server's run.
        anchor: file that is given each new head.
    """

    path: Path
    keeper: str
    anchor: Path | None = None

    def append(self, *entries: Entry) -> Head:
        """Write entries down, flushed to the disk before this returns.

        Raises:
            AuditError: they cannot be written, or the trail's last line was altered.
        """
        try:
            with _locked(self.path) as file:
                last, torn, starts_line = _tail(file)
                opening = (TrailOpened(keeper=self.keeper),) if last is None else ()
                head, lines = _chained(last, (*opening, *_sealing(torn), *entries))
                _write(file, b"".join([b"" if starts_line else b"\n", *lines]))
            if last is None:
                flush_folder(self.path.parent)
            if self.anchor is not None:
                with _locked(self.anchor) as file:
                    _write(file, f"{head}\n".encode())
        except OSError as error:
            raise AuditError(f"{self.path}: cannot write the audit trail ({error.strerror})") from error
        return head


def parse_line(raw: bytes) -> ChainedLine | None:
    """Return a line, its end included, if it is whole and its hash fits."""
    body, found = raw[: -(_HASH_BYTES + len(_MARK) + len(_END))], raw[-(_HASH_BYTES + len(_END)) : -len(_END)]
    digest = hashlib.sha256(body).hexdigest()
    if raw != body + _MARK + digest.encode() + _END or found != digest.encode():
        return None
    content = json.loads(body + b"}")
    return ChainedLine(content["number"], content["previous"], digest, content)


def _tail(file: int) -> tuple[ChainedLine | None, bytes, bool]:
    """Return the last whole line, the bytes of a torn one after it, and whether the next line would start at its place.

    Raises:
        AuditError: what comes last is whole and does not fit: that is no write cut short.
    """
    size, length = os.fstat(file).st_size, _TAIL_BYTES
    while True:
        start = max(0, size - length)
        pieces = split_lines(os.pread(file, size - start, start))
        for index in range(len(pieces) - 1, -1, -1):
            line = parse_line(pieces[index]) or parse_line(pieces[index] + b"\n")
            # The first piece may begin in the middle of its line.
            if line is not None and (index or not start):
                return line, *_after(b"".join(pieces[index + 1 :]), b"".join(pieces))
        if not start:
            return None, *_after(b"".join(pieces), b"".join(pieces))
        length *= 4


def _after(torn: bytes, everything: bytes) -> tuple[bytes, bool]:
    if torn.endswith(b"\n"):
        raise AuditError(
            "the audit trail's last line was altered; see `fedner audit verify`, keep the file and begin another one"
        )
    return torn, not everything or everything.endswith(b"\n")


def split_lines(content: bytes) -> list[bytes]:
    """Return the lines with their ends; the last may have none."""
    lines = content.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _sealing(torn: bytes) -> tuple[Entry, ...]:
    return (TornLine(num_bytes=len(torn), digest=hashlib.sha256(torn).hexdigest()),) if torn else ()


def _chained(last: ChainedLine | None, entries: Sequence[Entry]) -> tuple[Head, list[bytes]]:
    number, previous = (-1, GENESIS) if last is None else (last.number, last.hash)
    lines: list[bytes] = []
    for entry in entries:
        number += 1
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        content = {"number": number, "time": time, **asdict(entry), "previous": previous}
        body = json.dumps(content, ensure_ascii=False).encode()[:-1]
        previous = hashlib.sha256(body).hexdigest()
        lines.append(body + _MARK + previous.encode() + _END)
    return Head(number, previous), lines


@contextmanager
def _locked(path: Path) -> Generator[int, None, None]:
    """Open a file to append to, one process at a time; the lock goes with the process, however it ends."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _write(file: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]
    os.fsync(file)
