"""A federation in this process: a Flower `Grid` that hands each message to the sites' ClientApp directly.

No daemon, no network, no Ray; models and encodings stay warm between rounds. Node ids and message ids are the same in
every run. Sites run one after the other, each when its reply is asked for, so that a reply can be used and released
before the next one exists; or side by side in worker processes, with the same bytes as long as each site trains with
the same number of threads.
"""

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

from fedner.flower.identity import RUN_ID, Run, identify_server, simulated_run
from fedner.flower.messages import set_message_id
from fedner.protocol.nodes import Nodes
from fedner.simulation.workers import WorkerPool, answer, load_app
from fedner.site.node_config import MEMORY

CLIENT_APP = "fedner.site.app:app"
FIRST_SITE_NODE_ID = 2


class SiteRunner(Protocol):
    """Runs the sites' side: takes requests, gives replies."""

    @property
    def nodes(self) -> Nodes:
        """What runs the sites."""
        ...

    def submit(self, message: Message) -> None:
        """Take a request."""
        ...

    def next_reply(self) -> Message | None:
        """Return the next reply, waiting for it a moment at least; None if there is none yet or none is to come."""
        ...

    def forget(self) -> None:
        """Drop requests that nobody waits for any more."""
        ...

    def close(self) -> None:
        """Let go of processes and memory."""
        ...


class InlineRunner:
    """Sites in this process, one after the other, in the order of the requests.

    Args:
        app: the sites' ClientApp.
        contexts: node id -> context; its `state` is the site's memory between messages.
    """

    def __init__(self, app: ClientApp, contexts: Mapping[int, Context]) -> None:
        self._app = app
        self._contexts = contexts
        self._open: deque[Message] = deque()

    @property
    def nodes(self) -> Nodes:
        """Sites in this process."""
        return Nodes.here

    def submit(self, message: Message) -> None:
        """Queue a request."""
        self._open.append(message)

    def next_reply(self) -> Message | None:
        """Answer the oldest request."""
        if not self._open:
            return None
        message = self._open.popleft()
        return answer(self._app, message, self._contexts[message.metadata.dst_node_id])

    def forget(self) -> None:
        """Drop open requests."""
        self._open.clear()

    def close(self) -> None:
        """Drop open requests."""
        self.forget()


class LocalGrid(Grid):
    """Flower's Grid over sites on this machine; a context manager that ends worker processes, if there are any.

    Args:
        runner: the sites' side.
        node_ids: its nodes.
    """

    def __init__(self, runner: SiteRunner, node_ids: Sequence[int]) -> None:
        identify_server()
        self._runner = runner
        self._node_ids = list(node_ids)
        self._run = simulated_run()
        self._num_pushed = 0
        self._replies: dict[str, Message] = {}

    def __enter__(self) -> Self:
        """Return the grid itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the sites' side."""
        self._runner.close()

    @property
    def nodes(self) -> Nodes:
        """What runs the sites."""
        return self._runner.nodes

    def set_run(self, run: Run) -> None:
        """Set the run; there is only one."""
        self._run = run

    @property
    def run(self) -> Run:
        """The one run."""
        return self._run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """Make a message; kept because Flower's Grid asks for it."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> list[int]:
        """Return the sites' node ids, ascending."""
        return list(self._node_ids)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Take messages and return their ids, numbered from 1; whatever was asked before is not waited for any more."""
        self._runner.forget()
        self._replies.clear()
        identities: list[str] = []
        for message in messages:
            self._num_pushed += 1
            set_message_id(message, str(self._num_pushed))
            self._runner.submit(message)
            identities.append(message.metadata.message_id)
        return identities

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Wait a moment for one of the replies and return what is there."""
        wanted = list(message_ids)
        while True:
            ready = [self._replies.pop(identity) for identity in wanted if identity in self._replies]
            if ready:
                return ready
            reply = self._runner.next_reply()
            if reply is None:
                return []
            self._replies[reply.metadata.reply_to_message_id] = reply

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Send messages and return the replies that come in time."""
        open_ids = set(self.push_messages(messages))
        started = time.monotonic()
        replies: list[Message] = []
        while open_ids and (timeout is None or time.monotonic() - started < timeout):
            arrived = self.pull_messages(open_ids)
            replies += arrived
            open_ids -= {reply.metadata.reply_to_message_id for reply in arrived}
        return replies


def site_contexts(num_sites: int, memory: Path | None = None) -> dict[int, Context]:
    """Return node id -> a fresh context for each site of a simulation, as Flower's own simulation makes them.

    Args:
        num_sites: how many there are.
        memory: a folder in which the sites keep what they remember, so that it outlives this process.
    """
    nodes = range(FIRST_SITE_NODE_ID, FIRST_SITE_NODE_ID + num_sites)
    return {
        node: Context(
            run_id=RUN_ID,
            node_id=node,
            node_config={
                "partition-id": index,
                "num-partitions": num_sites,
                **({} if memory is None else {MEMORY: str(memory.resolve() / str(index))}),
            },
            state=RecordDict(),
            run_config={},
        )
        for index, node in enumerate(nodes)
    }


def local_grid(
    sizes: Sequence[int],
    workers: int = 1,
    app: str = CLIENT_APP,
    memory: Path | None = None,
) -> LocalGrid:
    """Open a grid with one node per site.

    Args:
        sizes: how much each site has to do, such as its training sentences; one entry per site.
        workers: processes that run sites side by side; 1 runs them here.
        app: `package.module:name` of the ClientApp.
        memory: as in `site_contexts`.
    """
    contexts = site_contexts(len(sizes), memory)
    workers = min(workers, len(sizes))
    runner = InlineRunner(load_app(app), contexts) if workers == 1 else WorkerPool(app, contexts, sizes, workers)
    return LocalGrid(runner, list(contexts))
