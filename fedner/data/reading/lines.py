"""Physical lines of a text file, numbered, decoded one at a time; every way in which that fails is explained."""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fedner.errors import DataError

MAX_LINE_BYTES = 64 * 1024 * 1024
_WIDE_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"} | {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_lines(path: str | Path, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
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
                raise DataError("wanted a corpus file, found an empty one; remove it from the list or fill it", path)
            file.seek(0)
            wide = next((wide for mark, wide in _WIDE_MARKS.items() if head.startswith(mark)), None)
            if name.startswith(("utf-16", "utf-32")):
                yield from _checked(_decode_whole_lines(file, name, path), path)
            elif wide is not None:
                raise DataError(
                    f"wanted {encoding} text, found a {wide} byte order mark; set data.encoding={wide}", path
                )
            else:
                yield from _checked(_decode_lines(file, name, path), path)
    except FileNotFoundError as error:
        raise DataError("no such file; check the path, relative ones start at the current folder", path) from error
    except IsADirectoryError as error:
        raise DataError("wanted a file, found a folder; name the files in it, or use data=sites", path) from error
    except PermissionError as error:
        raise DataError("the file may not be read by this user; change its permissions", path) from error


def _codec_name(encoding: str, path: str | Path) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError as error:
        raise DataError(
            f"unknown encoding {encoding!r}; set data.encoding, for example to utf-8 or latin-1", path
        ) from error


def _decode_lines(file: BinaryIO, codec: str, path: str | Path) -> Iterator[tuple[int, str]]:
    """Decode line by line, for encodings in which the byte 0x0A is always a line end."""
    offset = 0
    for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), start=1):
        if len(line) == MAX_LINE_BYTES:
            raise DataError(f"wanted lines of at most {MAX_LINE_BYTES:,} bytes; split the text into rows", path, number)
        if number == 1 and line.startswith(codecs.BOM_UTF8):
            line, offset = line[len(codecs.BOM_UTF8) :], len(codecs.BOM_UTF8)
        try:
            yield number, line.decode(codec)
        except UnicodeDecodeError as error:
            raise DataError(
                f"wanted {codec} text, found byte 0x{line[error.start]:02x} at byte offset {offset + error.start:,}; "
                "convert the file to UTF-8 or set data.encoding to the one it is in (latin-1, cp1252, …)",
                path,
                number,
            ) from error
        offset += len(line)


def _decode_whole_lines(file: BinaryIO, codec: str, path: str | Path) -> Iterator[tuple[int, str]]:
    """Decode encodings of several bytes a character, where a line cannot be found before decoding."""
    number = 1
    reader = codecs.getreader(codec)(file)
    try:
        for number, line in enumerate(iter(lambda: reader.readline(size=None), ""), start=1):
            yield number, line.removeprefix("\ufeff") if number == 1 else line
    except (UnicodeDecodeError, UnicodeError) as error:
        raise DataError(
            f"wanted {codec} text, found bytes that are not ({error}); set data.encoding", path, number
        ) from error


def _checked(lines: Iterator[tuple[int, str]], path: str | Path) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        if "\0" in line:
            raise DataError(
                "wanted text, found a NUL character; the file is damaged, binary, or in another encoding, such as "
                "utf-16 (set data.encoding)",
                path,
                number,
            )
        line = line.removesuffix("\n").removesuffix("\r")
        if "\r" in line:
            raise DataError(
                "wanted lines that end in LF or CRLF, found a lone carriage return; convert the line ends", path, number
            )
        yield number, line
