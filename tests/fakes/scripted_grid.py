"""Flower's Grid as the server sees it, played by the test; and a clock that moves only when the server sleeps.

The one description of Flower's contract in these tests: ids are given when messages are sent, None or nothing at all
where Flower cannot send; a pull returns the replies that are there, in any number, and may be asked again.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

from fedner.flower.identity import identify_server
from fedner.simulation.workers import answer

Deliver = Callable[[list[Message]], list[Message]]
"""Makes the replies of a pull from the requests that it asks for."""


class ScriptedGrid(Grid):
    """A grid whose nodes are processes of their own to the server, and the test's to move about.

    Args:
        deliver: makes the replies of a pull.
        connected: ids of the nodes that are connected; looked at whenever Flower is asked for them.
    """

    def __init__(self, deliver: Deliver, connected: Iterable[int] = ()) -> None:
        identify_server()
        self.deliver = deliver
        self.connected = connected
        self.unreachable: set[int] = set()
        """Nodes that Flower cannot send to."""
        self.takes_none = False
        """Whether Flower refuses a whole push, as it does with requests that are too large."""
        self._sent: dict[str, Message] = {}

    def set_run(self, run: Any) -> None: ...
    def run(self) -> Any: ...
    def create_message(self, *_: Any, **__: Any) -> Any: ...
    def send_and_receive(self, *_: Any, **__: Any) -> Any: ...

    def get_node_ids(self) -> list[int]:
        return list(self.connected)

    def push_messages(self, messages: Iterable[Message]) -> list[str | None]:
        identities: list[str | None] = []
        for message in messages:
            identity = str(len(self._sent) + 1)
            message.metadata.__dict__["_message_id"] = identity
            reachable = message.metadata.dst_node_id not in self.unreachable
            if reachable:
                self._sent[identity] = message
            identities.append(identity if reachable else None)
        return [] if self.takes_none else identities

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        return self.deliver([self._sent[identity] for identity in message_ids])


def one_by_one(app: ClientApp, contexts: Mapping[int, Context]) -> Deliver:
    """Let sites answer with an app, one at each pull, in the order of the requests."""
    answered: set[str] = set()

    def deliver(requests: list[Message]) -> list[Message]:
        for request in requests:
            if request.metadata.message_id not in answered:
                answered.add(request.metadata.message_id)
                return [answer(app, request, contexts[request.metadata.dst_node_id])]
        return []

    return deliver


class Clock:
    """Stands in for the module `time`: nothing takes any time but sleeping, which takes none in truth."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def stop_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the server's waiting a clock of its own."""
    clock = Clock()
    for module in ("requests", "membership"):
        monkeypatch.setattr(f"fedner.server.{module}.time", clock)
    return clock
