"""An audit trail tells when anything about it was changed; what cannot be told without a head is stated as such."""

import multiprocessing
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedner.audit.entries import Refused
from fedner.audit.trail import GENESIS, Head, Trail, split_lines
from fedner.audit.verification import parse_head, read_heads, verify
from fedner.errors import AuditError

ON_DISK = settings(max_examples=60)


def entry(number: int) -> Refused:
    return Refused(request="train", message=str(number), code="policy-run", reason="näme\n'\"")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """A trail of an opening and five entries."""
    path = tmp_path_factory.mktemp("trail") / "audit.jsonl"
    for number in range(5):
        Trail(path, "north").append(entry(number))
    return path.read_bytes()


def sound(path: Path, content: bytes, *heads: Head) -> bool:
    path.write_bytes(content)
    return verify(path, heads).sound


def test_a_trail_as_it_was_written_is_sound(whole: bytes, tmp_path: Path):
    (tmp_path / "a").write_bytes(whole)
    found = verify(tmp_path / "a")
    assert (found.sound, found.lines, found.keeper, found.torn) == (True, 6, "north", ())
    assert found.head is not None
    assert found.head.number == 5


def test_a_line_carries_the_hash_of_the_exact_bytes_before_its_own(whole: bytes):
    previous = GENESIS
    for line in split_lines(whole):
        body, told = line[: line.rindex(b',"hash":')], line[-67:-3].decode()
        assert f'"previous": "{previous}"'.encode() in body
        assert told == sha256(body).hexdigest()
        previous = told


@ON_DISK
@given(data=st.data())
def test_any_change_of_any_byte_shows(whole: bytes, tmp_path: Path, data):
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
    assert not sound(tmp_path / "a", whole[:place] + bytes([other]) + whole[place + 1 :])


@ON_DISK
@given(data=st.data())
def test_any_byte_that_goes_or_comes_shows(whole: bytes, tmp_path: Path, data):
    place = data.draw(st.integers(0, len(whole) - 1))
    more = bytes([data.draw(st.integers(0, 255))])
    assert not sound(tmp_path / "a", whole[:place] + whole[place + 1 :])
    assert not sound(tmp_path / "a", whole[:place] + more + whole[place:])


@ON_DISK
@given(data=st.data())
def test_any_line_removed_doubled_or_moved_shows(whole: bytes, tmp_path: Path, data):
    lines = split_lines(whole)
    source = data.draw(st.integers(0, len(lines) - 1))
    target = data.draw(st.integers(0, len(lines)).filter(lambda place: place not in (source, source + 1)))
    rest = lines[:source] + lines[source + 1 :]
    if source < len(lines) - 1:
        assert not sound(tmp_path / "a", b"".join(rest))
    assert not sound(tmp_path / "a", b"".join([*lines[:target], lines[source], *lines[target:]]))
    moved = [*rest[:target], lines[source], *rest[target:]] if target < source else None
    if moved is not None:
        assert not sound(tmp_path / "a", b"".join(moved))


def test_lines_cut_off_the_end_show_only_against_a_head_that_was_kept(whole: bytes, tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(whole)
    kept = verify(path).head
    assert kept is not None
    shorter = b"".join(split_lines(whole)[:-1])
    assert sound(path, shorter)  # as docs/security.md says
    assert not sound(path, shorter, kept)
    assert sound(path, whole, kept)


def test_a_trail_written_anew_shows_against_a_head_that_was_kept(whole: bytes, tmp_path: Path):
    (tmp_path / "a").write_bytes(whole)
    kept = verify(tmp_path / "a").head
    assert kept is not None
    for number in range(7):
        Trail(tmp_path / "anew", "north").append(entry(number))
    assert verify(tmp_path / "anew").sound
    assert "is not the one" in verify(tmp_path / "anew", [kept]).problems[0]


@pytest.mark.parametrize("cut", [1, 2, 5, 80, 200])
def test_a_line_cut_short_is_told_and_then_sealed_by_the_next(whole: bytes, tmp_path: Path, cut: int):
    path = tmp_path / "a"
    assert not sound(path, whole[:-cut])
    Trail(path, "north").append(entry(9))
    found = verify(path)
    # Where nothing but the line's end was lost the line still holds all it said.
    assert (found.sound, found.torn) == (True, () if cut == 1 else (6,))
    assert path.read_bytes().startswith(whole[:-cut])


def test_bytes_of_a_sealed_line_cannot_change_either(whole: bytes, tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(whole[:-30])
    Trail(path, "north").append(entry(9))
    content = bytearray(path.read_bytes())
    content[len(whole) - 40] ^= 1
    assert not sound(path, bytes(content))


def test_nothing_is_written_after_a_last_line_that_was_altered(whole: bytes, tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(whole.replace(b"policy-run", b"policy-rum"))
    with pytest.raises(AuditError, match="altered"):
        Trail(path, "north").append(entry(9))


def test_a_full_disk_is_an_error_and_the_trail_goes_on_once_there_is_room(
    tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
):
    path = tmp_path / "a"
    Trail(path, "north").append(entry(0))
    with full_disk(path.stat().st_size + 20), pytest.raises(AuditError, match="cannot write"):
        Trail(path, "north").append(entry(1))
    Trail(path, "north").append(entry(2))
    found = verify(path)
    assert (found.sound, found.torn) == (True, (3,))


def _append_many(path: Path, number: int) -> None:
    for each in range(20):
        Trail(path, "north", path.with_name("heads")).append(entry(100 * number + each))


def test_processes_that_write_at_once_leave_one_chain(tmp_path: Path):
    started = [
        multiprocessing.get_context("fork").Process(target=_append_many, args=(tmp_path / "a", number))
        for number in range(3)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join()
    found = verify(tmp_path / "a", read_heads(tmp_path / "heads"))
    assert (found.sound, found.lines) == (True, 61)  # the opening and 3 x 20
    assert len(read_heads(tmp_path / "heads")) == 60


def test_only_its_owner_can_read_a_trail(tmp_path: Path):
    Trail(tmp_path / "a", "north").append(entry(0))
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "5", "x " + "0" * 64, "5 " + "0" * 63, "5 " + "G" * 64])
def test_what_is_no_head_is_refused(text: str):
    with pytest.raises(AuditError, match="expected a line's number and its hash"):
        parse_head(text)


def _append_for_ever(path: Path) -> None:
    while True:
        Trail(path, "north").append(entry(0))


def test_a_trail_survives_processes_that_are_killed_while_they_write(tmp_path: Path):
    path = tmp_path / "a"
    for times in range(1, 6):
        process = multiprocessing.get_context("fork").Process(target=_append_for_ever, args=(path,))
        process.start()
        wanted = 5 * times
        while not path.exists() or path.read_bytes().count(b"\n") < wanted:
            time.sleep(0.005)
        process.kill()
        process.join()
        Trail(path, "north").append(entry(1))
        assert verify(path).sound
