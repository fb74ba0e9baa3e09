from pathlib import Path

import pytest

from fedner.files import read_json, replacing, write_json


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def write_half(path: Path, folder: bool, error: type[BaseException]) -> None:
    with replacing(path) as draft:
        if folder:
            draft.mkdir()
            draft = draft / "inner"
        draft.write_text("half")
        raise error


@pytest.mark.parametrize("flushed", [False, True])
def test_a_file_is_replaced_only_when_the_block_ends(tmp_path: Path, flushed: bool) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path, flushed=flushed) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == {"a.txt"}


@pytest.mark.parametrize("flushed", [False, True])
def test_a_folder_appears_whole(tmp_path: Path, flushed: bool) -> None:
    with replacing(tmp_path / "run", flushed=flushed) as draft:
        (draft / "inner").mkdir(parents=True)
        (draft / "inner" / "a.txt").write_text("a")
        assert not (tmp_path / "run").exists()
    assert names(tmp_path) == {"run"}
    assert (tmp_path / "run" / "inner" / "a.txt").read_text() == "a"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("folder", [False, True])
def test_a_block_that_raises_leaves_what_was_there(tmp_path: Path, error: type[BaseException], folder: bool) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(error):
        write_half(path, folder, error)
    assert names(tmp_path) == {"a"}
    assert path.read_text() == "old"


def test_a_draft_of_a_killed_process_is_not_taken_for_ours(tmp_path: Path) -> None:
    with replacing(tmp_path / "run") as draft:
        draft.mkdir()
    draft.mkdir()  # as a kill leaves it, when process numbers come round again
    (draft / "left.txt").touch()
    with replacing(tmp_path / "run") as draft:
        draft.mkdir()
    assert names(tmp_path / "run") == set()


def test_a_draft_that_nobody_wrote_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a"):
        pass


def test_json_is_written_into_folders_that_are_missing(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "b.json", {"é": [1, None]})
    assert (tmp_path / "a" / "b.json").read_bytes() == '{\n "é": [\n  1,\n  null\n ]\n}\n'.encode()
    assert read_json(tmp_path / "a" / "b.json") == {"é": [1, None]}
