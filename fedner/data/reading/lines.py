"""Physical lines of a text file, numbered, decoded one at a time; every way in which that fails is explained."""

import codecs
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from fedner.errors import DataError

MAX_LINE_BYTES = 64 * 1024 * 1024
MAX_FILE_BYTES = 1024 * 1024 * 1024
"""The largest file of a format that is read as a whole; the ones read line by line may have any size."""
_CHUNK_BYTES = 64 * 1024
_NUL = (
    "expected text, got a NUL character; the file is damaged, binary, or in another encoding, such as utf-16 "
    "(set data.encoding)"
)
_WIDE_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"} | {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_lines(
    path: str | Path, encoding: str = "utf-8", max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[tuple[int, str]]:
    """Yield (1-based line number, line without its end); the end is LF or CRLF, a byte order mark is dropped.

    Only LF ends a line: characters such as U+2028 or U+0085 stay where the author put them.

    Raises:
        DataError: the file is missing, unreadable, empty, not in `encoding`, or holds NUL or lone CR characters.
    """
    name = _codec_name(encoding, path)
    try:
        with Path(path).open("rb") as file:
            head = file.read(4)
            if not head:
                raise DataError("expected a corpus file, got an empty one; remove it from the list or fill it", path)
            file.seek(0)
            wide = next((wide for mark, wide in _WIDE_MARKS.items() if head.startswith(mark)), None)
            if "\n".encode(name) != b"\n":
                yield from _checked(_decode_stream(file, name, path), path)
            elif wide is not None:
                raise DataError(
                    f"expected {encoding} text, got a {wide} byte order mark; set data.encoding={wide}", path
                )
            else:
                yield from _checked(_decode_lines(file, name, path, max_line_bytes), path)
    except FileNotFoundError as error:
        raise DataError("no such file; check the path, relative ones start at the current folder", path) from error
    except IsADirectoryError as error:
        raise DataError("expected a file, got a folder; name the files in it, or use data=sites", path) from error
    except PermissionError as error:
        raise DataError("the file may not be read by this user; change its permissions", path) from error


def read_text(path: str | Path, encoding: str = "utf-8") -> str:
    """Return a whole file whose format does not care for line ends, such as JSON; they become LF.

    Raises:
        DataError: as `read_lines`, but a line may be as long as it likes.
    """
    return "\n".join(line for _, line in read_lines(path, encoding, max_line_bytes=MAX_FILE_BYTES))


def read_exact(path: str | Path, encoding: str = "utf-8") -> str:
    """Return a whole text file character by character as it stands, for formats that count its line ends and BOM.

    Raises:
        DataError: the file is missing, unreadable, too large, not in `encoding`, or holds NUL characters.
    """
    codec = _codec_name(encoding, path)
    try:
        if Path(path).stat().st_size > MAX_LINE_BYTES:
            raise DataError(f"expected a text of at most {MAX_LINE_BYTES:,} bytes; split it", path)
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            f"the file cannot be read ({error.strerror}); check the path and its permissions", path
        ) from error
    try:
        text = content.decode(codec)
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        raise _not_text(codec, error, start, path, content.count(b"\n", 0, start) + 1) from error
    if "\0" in text:
        raise DataError(_NUL, path, text.count("\n", 0, text.index("\0")) + 1)
    return text


def _codec_name(encoding: str, path: str | Path) -> str:
    try:
        "".encode(encoding)
        # The mark is dropped for plain UTF-8 too, and the codec with one counts its error offsets from after it.
        return codecs.lookup(encoding).name.removesuffix("-sig")
    except (LookupError, UnicodeError) as error:
        raise DataError(
            f"unknown encoding {encoding!r}; set data.encoding, for example to utf-8 or latin-1", path
        ) from error


def _not_text(codec: str, error: UnicodeError, offset: int, path: str | Path, line: int) -> DataError:
    """Return the refusal of bytes that are not in the encoding; `offset` counts from the start of the file."""
    found = f"byte 0x{error.object[error.start]:02x}" if isinstance(error, UnicodeDecodeError) else str(error)
    return DataError(
        f"expected {codec} text, got {found} at byte offset {offset:,}; "
        "convert the file to UTF-8 or set data.encoding to the one it is in (latin-1, cp1252, …)",
        path,
        line,
    )


def _decode_lines(file: BinaryIO, codec: str, path: str | Path, limit: int) -> Iterator[tuple[int, str]]:
    """Decode line by line, for encodings that write a line feed as the byte 0x0A and nothing else so."""
    offset = 0
    for number, line in enumerate(iter(lambda: file.readline(limit), b""), start=1):
        if len(line) == limit:
            raise DataError(f"expected lines of at most {limit:,} bytes; split the text into rows", path, number)
        start = len(codecs.BOM_UTF8) if number == 1 and line.startswith(codecs.BOM_UTF8) else 0
        try:
            yield number, line[start:].decode(codec)
        except UnicodeError as error:
            raise _not_text(codec, error, offset + start + getattr(error, "start", 0), path, number) from error
        offset += len(line)


def _decode_stream(file: BinaryIO, codec: str, path: str | Path) -> Iterator[tuple[int, str]]:
    """Decode chunk by chunk, for encodings in which a line cannot be found before decoding."""
    decoder = codecs.getincrementaldecoder(codec)()
    number, offset, rest = 1, 0, ""
    while True:
        chunk = file.read(_CHUNK_BYTES)
        state = decoder.getstate()
        try:
            text = decoder.decode(chunk, not chunk)
        except UnicodeError as error:
            good = max(0, getattr(error, "start", 0) - len(state[0]))
            line = number
            with suppress(UnicodeError):  # a missing byte order mark is missed whatever is decoded
                decoder.setstate(state)
                line += decoder.decode(chunk[:good]).count("\n")
            raise _not_text(codec, error, offset + good, path, line) from error
        offset += len(chunk)
        *lines, rest = (rest + (text.removeprefix("\ufeff") if offset == len(chunk) else text)).split("\n")
        for line in lines:
            yield number, line
            number += 1
        if len(rest) > MAX_LINE_BYTES:
            raise DataError(f"expected lines of at most {MAX_LINE_BYTES:,} characters; split the text", path, number)
        if not chunk:
            break
    if rest:
        yield number, rest


def _checked(lines: Iterator[tuple[int, str]], path: str | Path) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        if "\0" in line:
            raise DataError(_NUL, path, number)
        line = line.removesuffix("\n").removesuffix("\r")
        if "\r" in line:
            raise DataError(
                "expected lines that end in LF or CRLF, got a lone carriage return; convert the line ends", path, number
            )
        yield number, line
