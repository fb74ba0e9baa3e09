import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.supercore.task_identity import TaskIdentity
from hypothesis import given
from hypothesis import strategies as st

from fedner.flower.identity import identify_server
from fedner.protocol.arrays import from_record, to_record
from fedner.simulation.grid import InlineRunner, LocalGrid, local_grid, site_contexts
from fedner.simulation.running import with_threads
from fedner.simulation.workers import assign, receive, send
from fedner.tensors import digest

echo = ClientApp()


@echo.query("hello")
def tell_partition(message: Message, context: Context) -> Message:
    context.state["visits"] = ConfigRecord({"count": _visits(context) + 1})
    number, visits = int(context.node_config["partition-id"]), _visits(context)
    return Message(RecordDict({"told": ConfigRecord({"site": number, "visits": visits})}), reply_to=message)


@echo.train()
def fail(message: Message, context: Context) -> Message:
    raise ValueError("Mr Smith")


def _visits(context: Context) -> int:
    record = context.state.config_records.get("visits")
    return 0 if record is None else int(record["count"])


def echo_grid(num_sites: int = 3) -> LocalGrid:
    contexts = site_contexts(num_sites)
    return LocalGrid(InlineRunner(echo, contexts), list(contexts))


def hello(node: int) -> Message:
    return Message(RecordDict(), node, "query.hello")


def test_flowers_internal_identity_is_what_makes_messages_possible():
    # Without it Message(...) raises; this is the one internal name of Flower's that we set.
    TaskIdentity._run_id = None
    with pytest.raises(RuntimeError, match="not set"):
        hello(2)
    identify_server()
    assert (hello(2).metadata.run_id, hello(2).metadata.src_node_id) == (1, 1)


def test_node_ids_and_message_ids_are_the_same_in_every_run():
    first, second = echo_grid(), echo_grid()
    assert first.get_node_ids() == second.get_node_ids() == [2, 3, 4]
    for grid in (first, second):
        assert grid.push_messages([hello(2), hello(3)]) == ["1", "2"]
        assert grid.push_messages([hello(4)]) == ["3"]


def test_each_node_is_the_partition_of_its_number_and_remembers():
    with echo_grid() as grid:
        for round_number in (1, 2):
            replies = grid.send_and_receive([hello(node) for node in grid.get_node_ids()])
            told = [(reply.content["told"]["site"], reply.content["told"]["visits"]) for reply in replies]
            assert told == [(0, round_number), (1, round_number), (2, round_number)]


def test_a_site_works_only_when_its_reply_is_asked_for():
    contexts = site_contexts(2)
    grid = LocalGrid(InlineRunner(echo, contexts), list(contexts))
    grid.push_messages([hello(2), hello(3)])
    assert _visits(contexts[2]) == 0
    assert len(grid.pull_messages(["1", "2"])) == 1
    assert (_visits(contexts[2]), _visits(contexts[3])) == (1, 0)


def test_replies_can_be_pulled_in_another_order_than_they_come():
    with echo_grid() as grid:
        grid.push_messages([hello(2), hello(3)])
        assert [reply.content["told"]["site"] for reply in grid.pull_messages(["2"])] == [1]
        assert [reply.content["told"]["site"] for reply in grid.pull_messages(["1"])] == [0]
        assert grid.pull_messages(["1", "2"]) == []


def test_an_exception_becomes_an_error_reply_without_its_text():
    with echo_grid() as grid:
        (reply,) = grid.send_and_receive([Message(RecordDict(), 2, "train")])
    assert reply.has_error()
    assert reply.error.reason == "ValueError"


@given(sizes=st.lists(st.integers(0, 1000), min_size=1, max_size=30), workers=st.integers(1, 8))
def test_no_worker_has_much_more_to_do_than_another(sizes: list[int], workers: int):
    owners = assign(sizes, workers)
    assert owners == assign(sizes, workers)
    load = [sum(max(size, 1) for size, owner in zip(sizes, owners, strict=True) if owner == w) for w in range(workers)]
    # Graham 1969: the last site put on the fullest worker went to the least loaded one.
    assert max(load) - min(load) <= max(max(sizes), 1)


def test_a_message_crosses_a_pipe_unchanged():
    here, there = multiprocessing.Pipe()
    state = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "s": np.array(3.0, dtype=np.float32)}
    content = RecordDict({"arrays": to_record(state), "config": ConfigRecord({"a": 1, "b": "ü"})})
    message = Message(content, 5, "train", group_id="7")
    send(here, message)
    back = receive(there)
    assert digest(from_record(back.content.array_records["arrays"])) == digest(state)
    assert dict(back.content["config"]) == {"a": 1, "b": "ü"}
    assert (back.metadata.dst_node_id, back.metadata.group_id) == (5, "7")
    assert isinstance(message.content["arrays"], ArrayRecord)
    assert message.content.array_records["arrays"]["w"].data  # the sender's own copy is whole


def test_cores_are_shared_out_among_workers(small_config):
    assert with_threads(small_config(workers=2)).training.threads == 1
    assert with_threads(small_config(training={"threads": None}, workers=64)).training.threads == 1
    assert with_threads(small_config(training={"threads": None})).training.threads is None


# An app of its own, so that the workers need not import a deep-learning stack to be killed.
CHEAP_APP = """
import os, signal, time
from flwr.app import Message, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()

@app.query("hello")
def hello(message, context):
    return Message(RecordDict(), reply_to=message)

@app.train()
def end_if_first(message, context):
    if context.node_config["partition-id"] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return Message(RecordDict(), reply_to=message)

@app.evaluate()
def hang_if_first(message, context):
    if context.node_config["partition-id"] == 0:
        time.sleep(600)
    return Message(RecordDict(), reply_to=message)
"""

PARENT = """
import multiprocessing, time
from fedner.simulation.workers import WorkerPool
from flwr.app import Context, RecordDict

if __name__ == "__main__":
    contexts = {n: Context(run_id=1, node_id=n, node_config={}, state=RecordDict(), run_config={}) for n in (2, 3)}
    pool = WorkerPool("cheap_app:app", contexts, [1, 1], 2)
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
    time.sleep(600)
"""


@pytest.fixture
def cheap_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "cheap_app.py").write_text(CHEAP_APP)
    monkeypatch.syspath_prepend(str(tmp_path))  # spawned processes inherit sys.path
    return "cheap_app:app"


def requests(grid: LocalGrid, kind: str, content: RecordDict | None = None) -> list[Message]:
    return [Message(content or RecordDict(), node, kind) for node in grid.get_node_ids()]


def replies_by_node(grid: LocalGrid, kind: str) -> dict[int, bool]:
    """Ask every node; return whether each one replied without an error."""
    replies = grid.send_and_receive(requests(grid, kind))
    return {reply.metadata.src_node_id: not reply.has_error() for reply in replies}


def first_reply(grid: LocalGrid, messages: list[Message]) -> int:
    """Ask and wait for one reply only; return its node. Whoever has not replied is given up by what is asked next."""
    identities = grid.push_messages(messages)
    while not (replies := grid.pull_messages(identities)):
        pass  # each pull waits a moment
    (reply,) = replies
    return reply.metadata.src_node_id


def test_a_worker_that_is_killed_at_a_request_costs_that_request_only(cheap_app: str):
    with local_grid([1, 1, 1], workers=2, app=cheap_app) as grid:  # sites 2 and 4 share a worker
        assert replies_by_node(grid, "train") == {2: False, 3: True, 4: True}
        assert replies_by_node(grid, "query.hello") == {2: True, 3: True, 4: True}
    assert multiprocessing.active_children() == []


def test_a_worker_that_was_killed_between_requests_costs_nothing(cheap_app: str):
    with local_grid([1, 1], workers=2, app=cheap_app) as grid:
        assert replies_by_node(grid, "query.hello") == {2: True, 3: True}
        victim, _ = multiprocessing.active_children()
        os.kill(victim.pid, signal.SIGKILL)
        victim.join()
        assert replies_by_node(grid, "query.hello") == {2: True, 3: True}
    assert multiprocessing.active_children() == []


def test_a_worker_that_hangs_is_replaced_when_nobody_waits_for_it_any_more(cheap_app: str):
    with local_grid([1, 1], workers=2, app=cheap_app) as grid:
        replies_by_node(grid, "query.hello")
        assert first_reply(grid, requests(grid, "evaluate")) == 3
        assert replies_by_node(grid, "query.hello") == {2: True, 3: True}
    assert multiprocessing.active_children() == []


def test_a_worker_that_hangs_before_it_has_read_a_large_request_is_given_up_too(cheap_app: str):
    # Eight megabytes do not fit into a pipe, so that whoever writes them has to wait for a reader.
    large = RecordDict({"arrays": to_record({"w": np.zeros(2_000_000, dtype=np.float32)})})
    with local_grid([1, 1], workers=2, app=cheap_app) as grid:
        assert replies_by_node(grid, "query.hello") == {2: True, 3: True}
        victim, _ = multiprocessing.active_children()
        os.kill(victim.pid, signal.SIGSTOP)
        assert first_reply(grid, requests(grid, "query.hello", large)) in (2, 3)
        assert replies_by_node(grid, "query.hello") == {2: True, 3: True}
    assert multiprocessing.active_children() == []


def test_workers_end_when_their_parent_is_killed(tmp_path: Path, cheap_app: str):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    while any(map(_is_alive, workers)):  # waits as long as they live
        time.sleep(0.01)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")
