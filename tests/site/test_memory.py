from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, RecordDict
from safetensors.numpy import save_file

from fedner.errors import FederationError, StateError
from fedner.protocol.messages import Header
from fedner.site.memory import ContextMemory, FolderMemory, SiteMemory, memory_of
from fedner.site.node_config import MEMORY, MEMORY_OF_RUNS


@pytest.fixture
def memory(tmp_path: Path) -> FolderMemory:
    return FolderMemory(tmp_path / "site")


@pytest.fixture(params=["folder", "context"])
def either(request, tmp_path: Path) -> SiteMemory:
    return FolderMemory(tmp_path / "site") if request.param == "folder" else ContextMemory(RecordDict())


def test_a_full_disk_is_reported_without_a_path_and_leaves_earlier_rounds(memory, tmp_path: Path, full_disk):
    memory.keep("training", 1, {"seen": np.arange(3)})
    with full_disk(16), pytest.raises(StateError, match=r"of round 2 cannot be written .*File too large") as told:
        memory.keep("training", 2, {"seen": np.arange(9)})
    assert str(tmp_path) not in str(told.value)
    known = memory.before("training", 3)
    assert known is not None
    np.testing.assert_array_equal(known["seen"], np.arange(3))
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["training-0001.safetensors"]


def test_a_retried_round_finds_what_it_found_the_first_time_and_later_rounds_are_dropped(either):
    for number in (1, 2, 3):
        either.keep("training", number, {"seen": np.array([number])})
    for _ in range(2):
        assert int(either.before("training", 3)["seen"][0]) == 2
        either.keep("training", 3, {"seen": np.array([30])})
    either.keep("training", 2, {"seen": np.array([20])})
    assert int(either.before("training", 9)["seen"][0]) == 20


def test_memories_of_other_names_and_notes_are_kept_apart(either):
    either.keep("training", 1, {"a": np.array([1])})
    either.keep("residual", 2, {"a": np.array([2.5], np.float32)})
    either.note("text", {"began": "x"})
    assert either.before("personal", 9) is None
    assert int(either.before("training", 9)["a"][0]) == 1
    assert either.before("residual", 9)["a"].dtype == np.float32
    assert either.before("residual", 2) is None
    assert dict(either.noted("text")) == {"began": "x"}
    assert either.noted("other") is None


def test_a_file_that_an_earlier_version_wrote_without_a_digest_is_read(memory):
    memory.folder.mkdir()
    save_file({"seen": np.arange(3)}, memory.folder / "training-0002.safetensors")
    np.testing.assert_array_equal(memory.before("training", 3)["seen"], np.arange(3))


def test_an_altered_file_is_refused(memory):
    memory.keep("training", 1, {"seen": np.arange(300)})
    path = memory.folder / "training-0001.safetensors"
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    with pytest.raises(StateError, match="of round 1 is not what was written"):
        memory.before("training", 2)
    path.write_bytes(content[:20])
    with pytest.raises(StateError, match="of round 1 cannot be read"):
        memory.before("training", 2)


def of_run(run: str, seed: int = 0) -> Header:
    return Header(run=run, round=1, seed=seed, contract="contract")


def node(**node_config: str) -> Context:
    return Context(run_id=1, node_id=2, node_config=dict(node_config), state=RecordDict(), run_config={})


def test_each_run_has_a_folder_of_its_own_and_a_resumed_one_finds_it_again(tmp_path):
    context = node(**{MEMORY_OF_RUNS: str(tmp_path)})
    runs = (("first", 0), ("second", 0), ("first", 1), ("first", 0))
    folders = [memory_of(context, of_run(run, seed)).folder for run, seed in runs]
    assert len(set(folders)) == 3
    assert folders[0] == folders[3]
    assert all(folder is not None and folder.parent == tmp_path for folder in folders)
    assert context.node_config == {MEMORY_OF_RUNS: str(tmp_path)}


def test_a_node_with_one_folder_uses_it_for_every_run_and_one_without_keeps_to_flowers_context(tmp_path):
    assert memory_of(node(**{MEMORY: str(tmp_path)}), of_run("any")).folder == tmp_path
    context = node()
    memory_of(context, of_run("any")).keep("training", 1, {"seen": np.arange(3)})
    assert list(context.state) == ["training-1"]


@pytest.mark.parametrize("name", ["../../etc", "..", ".hidden", "a/b", "", "a\nb", "x" * 200])
def test_a_run_cannot_name_its_way_out_of_the_sites_memory(tmp_path, name):
    with pytest.raises(FederationError, match="expected a run's name"):
        memory_of(node(**{MEMORY_OF_RUNS: str(tmp_path)}), of_run(name))
