"""Worker processes of an in-process federation: sites train side by side, each always in the same worker.

Messages cross a pipe in Flower's own serialisation, the arrays' bytes beside it rather than inside, since copying tens
of megabytes through Protocol Buffers takes longer than sending them. Nothing of a message is pickled. A worker is given
one message at a time, so that neither side can block the other by writing while the other writes.

A worker that dies becomes an error reply for the message it was at; a new one takes its place for the others, and for
later rounds. So does one that is still at a request that nobody waits for any more: it hangs, or is too slow. Workers
end with the process that started them.
"""

import os
import signal
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from flwr.app import Array, ArrayRecord, Context, Error, Message, RecordDict, UserConfig
from flwr.clientapp import ClientApp

from fedner.flower.messages import message_from_bytes, message_to_bytes
from fedner.protocol.nodes import Nodes

MOMENT_SECONDS = 0.5
"""How long a pool waits for a reply before whoever asked may look at a clock."""

CLIENT_APP_FAILED = 2
"""Flower's error code for an exception that a ClientApp did not catch; also used for a worker that died."""


def load_app(reference: str) -> ClientApp:
    """Import the ClientApp that `package.module:name` refers to."""
    module, _, name = reference.partition(":")
    app = getattr(import_module(module), name)
    assert isinstance(app, ClientApp)
    return app


def answer(app: ClientApp, message: Message, context: Context) -> Message:
    """Let the app answer; an exception it did not catch becomes an error reply, as under Flower's own runtimes."""
    try:
        return app(message, context)
    except Exception as error:
        return failed(message, type(error).__name__)


def failed(message: Message, reason: str) -> Message:
    """Return an error reply."""
    return Message(Error(code=CLIENT_APP_FAILED, reason=reason), reply_to=message)


def assign(sizes: Sequence[int], num_workers: int) -> list[int]:
    """Return the worker of each site: the largest first, each to the worker with the least to do.

    Depends on the sizes alone, never on timing. (Longest processing time first, Graham 1969.)
    """
    load = [0] * num_workers
    workers = [0] * len(sizes)
    for site in sorted(range(len(sizes)), key=lambda site: (-sizes[site], site)):
        least = min(range(num_workers), key=lambda worker: (load[worker], worker))
        workers[site] = least
        load[least] += max(sizes[site], 1)
    return workers


class WorkerPool:
    """Sites in worker processes.

    Args:
        app: `package.module:name` of the ClientApp.
        contexts: node id -> context; it moves into the node's worker and stays there.
        sizes: how much each node has to do, in the order of `contexts`; balances the workers.
        num_workers: how many processes.
    """

    def __init__(self, app: str, contexts: Mapping[int, Context], sizes: Sequence[int], num_workers: int) -> None:
        workers = assign(sizes, num_workers)
        self._worker_of = dict(zip(contexts, workers, strict=True))
        self._app = app
        self._contexts = contexts
        self._queues: list[deque[Message]] = [deque() for _ in range(num_workers)]
        self._failed: deque[Message] = deque()
        self._connections: list[Connection] = []
        self._processes: list[SpawnProcess] = []
        self._senders: list[threading.Thread | None] = [None] * num_workers
        try:
            for worker in range(num_workers):
                connection, process = self._start(worker)
                self._connections.append(connection)
                self._processes.append(process)
        except BaseException:
            self.close()
            raise

    @property
    def nodes(self) -> Nodes:
        """Sites that take turns in processes."""
        return Nodes.simulated

    def submit(self, message: Message) -> None:
        """Queue a message for the worker of its node; an idle worker gets it at once."""
        worker = self._worker_of[message.metadata.dst_node_id]
        self._queues[worker].append(message)
        if len(self._queues[worker]) == 1:
            self._hand_over(worker)

    def next_reply(self) -> Message | None:
        """Wait a moment for the next reply of any worker; None if there is none yet or none is to come."""
        if self._failed:
            return self._failed.popleft()
        busy = {self._connections[worker]: worker for worker, queue in enumerate(self._queues) if queue}
        if not busy:
            return None
        ready = wait(list(busy), timeout=MOMENT_SECONDS)
        if not ready:
            return None
        worker = next(busy[connection] for connection in busy if connection in ready)
        try:
            reply = receive(self._connections[worker])
        except (EOFError, OSError):
            return self._bury(worker)
        self._queues[worker].popleft()
        self._hand_over(worker)
        return reply

    def forget(self) -> None:
        """Drop requests that nobody waits for any more; a worker that is still at one is replaced."""
        self._failed.clear()
        for worker, queue in enumerate(self._queues):
            if queue:
                queue.clear()
                self._replace(worker)

    def close(self) -> None:
        """End the workers."""
        for sender, process in zip(self._senders, self._processes, strict=False):
            if sender is not None and sender.is_alive():
                process.kill()
                sender.join()
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.join(timeout=5)
            if process.is_alive():
                process.kill()
                process.join()

    def _start(self, worker: int) -> tuple[Connection, SpawnProcess]:
        spawn = get_context("spawn")
        ours, theirs = spawn.Pipe()
        plain = [(context.run_id, node, dict(context.node_config), dict(context.run_config))
                 for node, context in self._contexts.items() if self._worker_of[node] == worker]  # fmt: skip
        process = spawn.Process(target=_serve, args=(theirs, self._app, plain), daemon=True)
        process.start()
        theirs.close()
        return ours, process

    def _replace(self, worker: int) -> int | None:
        """Start a new process for a worker; return the exit code of the old one."""
        process, sender = self._processes[worker], self._senders[worker]
        process.join(timeout=1)  # where it ended by itself, its own exit code tells more than that of our kill
        process.kill()
        process.join()
        if sender is not None:  # it ends with its reader; only then may the number of its pipe be given to another
            sender.join()
        self._connections[worker].close()
        self._connections[worker], self._processes[worker] = self._start(worker)
        return process.exitcode

    def _hand_over(self, worker: int) -> None:
        """Send a worker its next message; one that ended while it had nothing to do is replaced first."""
        queue = self._queues[worker]
        if not queue:
            return
        if not self._processes[worker].is_alive():
            self._replace(worker)
        # In a thread of its own: a worker that hangs does not read, and whoever waits must be able to give up on it.
        sender = threading.Thread(target=_send_to_worker, args=(self._connections[worker], queue[0]), daemon=True)
        self._senders[worker] = sender
        sender.start()

    def _bury(self, worker: int) -> Message:
        """Return an error reply for the message that a worker was at when it ended; a new one takes the next."""
        message = self._queues[worker].popleft()
        code = self._replace(worker)
        self._hand_over(worker)
        return failed(message, f"worker process ended ({code})")


def send(connection: Connection, message: Message) -> None:
    """Write a message to a pipe: first all but the arrays' bytes, then those, one by one."""
    content = message.content if message.has_content() else None
    hollow = None if content is None else _without_bytes(content)
    connection.send_bytes(message_to_bytes(message, hollow))
    for array in _arrays(content):
        connection.send_bytes(array.data)


def _send_to_worker(connection: Connection, message: Message) -> None:
    with suppress(OSError):  # the worker has ended, which whoever waits for its reply finds out
        send(connection, message)


def receive(connection: Connection) -> Message:
    """Read what `send` wrote.

    Raises:
        EOFError: the other side has gone.
    """
    message = message_from_bytes(connection.recv_bytes())
    for array in _arrays(message.content if message.has_content() else None):
        array.data = connection.recv_bytes()
    return message


def _without_bytes(content: RecordDict) -> RecordDict:
    hollow = RecordDict()
    for key, record in content.items():
        if isinstance(record, ArrayRecord):
            names = {name: Array(array.dtype, array.shape, array.stype, b"") for name, array in record.items()}
            hollow[key] = ArrayRecord(names)
        else:
            hollow[key] = record
    return hollow


def _arrays(content: RecordDict | None) -> list[Array]:
    if content is None:
        return []
    records = [record for record in content.values() if isinstance(record, ArrayRecord)]
    return [array for record in records for array in record.values()]


def _serve(connection: Connection, app: str, nodes: Sequence[tuple[int, int, UserConfig, UserConfig]]) -> None:
    """Answer messages until the other end closes."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they reach the whole group; the parent decides when we end
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    contexts = {
        node: Context(run_id=run, node_id=node, node_config=node_config, state=RecordDict(), run_config=run_config)
        for run, node, node_config, run_config in nodes
    }
    loaded = load_app(app)
    while True:
        try:
            message = receive(connection)
            send(connection, answer(loaded, message, contexts[message.metadata.dst_node_id]))
        except (EOFError, OSError):  # `answer` lets none through: the other end has closed
            return


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
