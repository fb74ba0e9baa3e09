"""What the server makes of replies that come twice, late, unasked or not at all, on a scripted grid."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from fedner.errors import FederationError
from fedner.flower.identity import identify_server
from fedner.flower.simulation_grid import InMemoryGrid
from fedner.protocol.nodes import Nodes
from fedner.protocol.phases import TRAIN
from fedner.records.events import Event, ReplyIgnored
from fedner.refusals import Refusal, RefusalCode, unusable
from fedner.server.requests import GONE, PULLED_AT_ONCE, RequestChannel, nodes_of
from fedner.server.timeouts import Reached, Timeouts

SITES = {"east": 11, "west": 12}


class Post(Grid):
    """Delivers what `deliver` makes of the requests of a pull; nodes that are gone cannot be sent to."""

    def __init__(self, deliver: Callable[[list[Message]], list[Message]], gone: Iterable[int] = ()) -> None:
        identify_server()
        self._deliver = deliver
        self._gone = set(gone)
        self._sent: dict[str, Message] = {}
        self.refuses_all = False

    def set_run(self, run: Any) -> None: ...
    def run(self) -> Any: ...
    def create_message(self, *_: Any, **__: Any) -> Any: ...
    def send_and_receive(self, *_: Any, **__: Any) -> Any: ...
    def get_node_ids(self) -> list[int]: ...

    def push_messages(self, messages: Iterable[Message]) -> list[str | None]:
        identities: list[str | None] = []
        for message in messages:
            identity = str(len(self._sent) + 1)
            message.metadata.__dict__["_message_id"] = identity
            reachable = message.metadata.dst_node_id not in self._gone
            if reachable:
                self._sent[identity] = message
            identities.append(identity if reachable else None)
        return [] if self.refuses_all else identities

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        return self._deliver([self._sent[identity] for identity in message_ids])


def answer(request: Message) -> Message:
    return Message(RecordDict(), reply_to=request)


def ask(mail: RequestChannel, patience: Timeouts, number: int = 1) -> dict[str, bool | Refusal]:
    """Return for each site whether it was heard, or why not."""
    replies = mail.ask(SITES, RecordDict(), TRAIN, number, patience, lambda: Reached.too_few)
    return {site: reply if isinstance(reply, Refusal) else True for site, reply in replies}


def reasons(told: list[Event]) -> list[tuple[str, int, str]]:
    return [(one.site, one.round, one.reason.partition(":")[0]) for one in told if isinstance(one, ReplyIgnored)]


def test_a_site_whose_node_flower_cannot_send_to_is_gone_and_the_others_are_heard():
    mail = RequestChannel(Post(lambda requests: [answer(each) for each in requests], gone=[11]), print)
    assert ask(mail, Timeouts()) == {"east": GONE, "west": True}


def test_however_many_answer_at_once_only_a_few_replies_are_in_memory_together():
    sizes: list[int] = []

    def all_at_once(requests: list[Message]) -> list[Message]:
        sizes.append(len(requests))
        return [answer(each) for each in requests]

    nodes = {f"site-{number:02d}": 20 + number for number in range(30)}
    replies = RequestChannel(Post(all_at_once), print).ask(
        nodes, RecordDict(), TRAIN, 1, Timeouts(), lambda: Reached.too_few
    )  # fmt: skip
    assert [site for site, _ in replies] == sorted(nodes)
    assert max(sizes) == PULLED_AT_ONCE


def test_requests_that_flower_takes_none_of_end_the_run():
    post = Post(lambda requests: [])
    post.refuses_all = True
    with pytest.raises(FederationError, match="took none of the train requests"):
        ask(RequestChannel(post, print), Timeouts())


def test_a_late_reply_is_told_once_with_the_round_it_was_for():
    told: list[Event] = []

    def west_is_one_round_late(requests: list[Message]) -> list[Message]:
        round_now = max(int(each.metadata.group_id) for each in requests)
        return [
            answer(each)
            for each in requests
            if each.metadata.dst_node_id == 11 or int(each.metadata.group_id) < round_now
        ]

    mail = RequestChannel(Post(west_is_one_round_late), told.append)
    for number in (1, 2):
        heard = ask(mail, Timeouts(deadline=0.2), number)
        assert heard["east"] is True
        assert isinstance(heard["west"], Refusal)
        assert heard["west"].code == "silent"
    assert reasons(told) == [("west", 1, "late")]


def test_a_second_reply_and_one_that_nobody_asked_for_are_told_and_hurt_nobody():
    told: list[Event] = []

    def twice_and_unasked(requests: list[Message]) -> list[Message]:
        stray = answer(requests[0])
        stray.metadata.__dict__["_reply_to_message_id"] = "of another run"
        return [*map(answer, requests), answer(requests[0]), stray]

    assert ask(RequestChannel(Post(twice_and_unasked), told.append), Timeouts()) == {"east": True, "west": True}
    assert reasons(told) == [("east", 1, "twice"), ("", 0, "unasked")]


def test_what_is_no_parcel_is_a_failure_of_the_site_that_sent_it():
    def broken(requests: list[Message]) -> list[Message]:
        good, bad = map(answer, requests)
        bad.content["arrays.outline"] = ConfigRecord({"names": ["a"], "sizes": [4]})
        bad.content["arrays"] = ConfigRecord({})
        return [good, bad]

    heard = ask(RequestChannel(Post(broken), lambda event: None), Timeouts())
    assert heard == {
        "east": True,
        "west": unusable(RefusalCode.federation, "message: record 'arrays' has an outline and is no parcel"),
    }


def test_the_server_asks_more_rarely_the_longer_it_waits(monkeypatch):
    clock, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr("fedner.server.requests.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("fedner.server.requests.time.sleep", sleep)
    ask(RequestChannel(Post(lambda requests: []), lambda event: None), Timeouts(deadline=200))
    assert slept[0] == 0.05, "a round of a second is not waited for longer than it takes"
    assert slept == sorted(slept)
    assert slept[-1] == 1.0
    assert len(slept) < 400, "twenty times a second would be 4,000"


def test_a_grid_tells_what_runs_its_sites():
    post = Post(lambda requests: [])
    assert nodes_of(post) is Nodes.real
    assert nodes_of(InMemoryGrid.__new__(InMemoryGrid)) is Nodes.simulated
