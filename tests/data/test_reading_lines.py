from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedner.data.reading.lines import read_lines
from fedner.errors import DataError


def lines(path: Path, content: bytes, encoding: str = "utf-8") -> list[tuple[int, str]]:
    path.write_bytes(content)
    return list(read_lines(path, encoding))


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"a\nb\n", "utf-8"),
        (b"a\r\nb\r\n", "utf-8"),
        (b"\xef\xbb\xbfa\nb", "utf-8"),
        (b"\xef\xbb\xbfa\nb", "utf-8-sig"),
        (b"a\nb", "latin-1"),
        ("a\nb\n".encode("cp037"), "cp037"),
        ("a\r\nb\n".encode("utf-16"), "utf-16"),
        ("a\nb\n".encode("utf-32"), "utf-32"),
        ("\ufeffa\nb\n".encode("utf-16-le"), "utf-16-le"),
    ],
)
def test_line_ends_and_marks_make_no_difference(tmp_path: Path, content: bytes, encoding: str) -> None:
    assert lines(tmp_path / "x", content, encoding) == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("character", ["\u2028", "\x85", "\u00a0", "\u200b", "\x0b", "\x0c", "\x1c"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_only_a_line_feed_ends_a_line(tmp_path: Path, character: str, encoding: str) -> None:
    text = f"a{character}b\nc"
    assert lines(tmp_path / "x", text.encode(encoding), encoding) == [(1, f"a{character}b"), (2, "c")]


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        # a, e-acute in UTF-8 (2 bytes), line feed: the stray byte is the sixth, at offset 5
        (
            "aé\n".encode() + b"b\xe9\n",
            "utf-8",
            r"x:2: expected utf-8 text, got byte 0xe9 at byte offset 5;.*latin-1",
        ),
        (b"\xef\xbb\xbf\xff\n", "utf-8", r"x:1: .*0xff at byte offset 3"),
        (b"\xef\xbb\xbf\xff\n", "utf-8-sig", r"x:1: .*0xff at byte offset 3"),
        (b"a\nb\0c\n", "utf-8", r"x:2: .*NUL"),
        (b"a\rb\rc\n", "utf-8", r"x:1: .*lone carriage return"),
        (b"", "utf-8", r"x: .*empty"),
        ("a".encode("utf-16"), "utf-8", r"x: .*utf-16 byte order mark; set data.encoding=utf-16"),
        ("a".encode("utf-32"), "utf-8", r"x: .*utf-32 byte order mark"),
        (b"a\n", "utf-9", r"x: unknown encoding 'utf-9'"),
        (b"a\0b\0", "utf-16", r"x:1: expected utf-16 text, got .*BOM"),
        (b"a\n", "hex", r"x: unknown encoding 'hex'"),
        (b"a\n", "undefined", r"x: unknown encoding 'undefined'"),
        (b"\xff\xfea\0\n\0\x00\xd8b\0", "utf-16", r"x:2: expected utf-16 text, got byte 0x00 at byte offset 6"),
    ],
)
def test_what_is_no_text_is_refused_with_place_and_remedy(
    tmp_path: Path, content: bytes, encoding: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        lines(tmp_path / "x", content, encoding)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        list(read_lines(tmp_path / "nothing"))
    with pytest.raises(DataError, match="got a folder"):
        list(read_lines(tmp_path))


@settings(max_examples=20)
@given(st.text(st.sampled_from("aé𝄞\u2028\n"), min_size=1, max_size=40), st.integers(1, 9))
def test_a_stream_of_wide_characters_is_cut_into_the_same_lines(
    tmp_path_factory: pytest.TempPathFactory, text: str, repeats: int
) -> None:
    # long enough that characters and line ends fall on the border of a chunk
    text = text * (repeats * 65_536 // len(text.encode("utf-16-le")) + 1)
    folder = tmp_path_factory.mktemp("wide")
    assert lines(folder / "wide", text.encode("utf-16"), "utf-16") == lines(folder / "narrow", text.encode(), "utf-8")
