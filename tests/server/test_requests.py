"""What the server makes of replies that come twice, late, unasked or not at all, on a scripted grid."""

import pytest
from flwr.app import ConfigRecord, Message, RecordDict
from scripted_grid import Clock, ScriptedGrid, stop_clock

from fedner.errors import FederationError
from fedner.flower.simulation_grid import InMemoryGrid
from fedner.protocol.nodes import Nodes
from fedner.protocol.phases import TRAIN
from fedner.records.events import Event, ReplyIgnored
from fedner.refusals import Refusal, RefusalCode, unusable
from fedner.server.requests import GONE, PULLED_AT_ONCE, RequestChannel, nodes_of
from fedner.server.timeouts import Reached, Timeouts

SITES = {"east": 11, "west": 12}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return stop_clock(monkeypatch)


def answer(request: Message) -> Message:
    return Message(RecordDict(), reply_to=request)


def ask(mail: RequestChannel, patience: Timeouts, number: int = 1) -> dict[str, bool | Refusal]:
    """Return for each site whether it was heard, or why not."""
    replies = mail.ask(SITES, RecordDict(), TRAIN, number, patience, lambda: Reached.too_few)
    return {site: reply if isinstance(reply, Refusal) else True for site, reply in replies}


def reasons(told: list[Event]) -> list[tuple[str, int, str]]:
    return [(one.site, one.round, one.reason.partition(":")[0]) for one in told if isinstance(one, ReplyIgnored)]


def test_a_site_whose_node_flower_cannot_send_to_is_gone_and_the_others_are_heard():
    grid = ScriptedGrid(lambda requests: [answer(each) for each in requests])
    grid.unreachable = {11}
    mail = RequestChannel(grid, print)
    assert ask(mail, Timeouts()) == {"east": GONE, "west": True}


def test_however_many_answer_at_once_only_a_few_replies_are_in_memory_together():
    sizes: list[int] = []

    def all_at_once(requests: list[Message]) -> list[Message]:
        sizes.append(len(requests))
        return [answer(each) for each in requests]

    nodes = {f"site-{number:02d}": 20 + number for number in range(30)}
    replies = RequestChannel(ScriptedGrid(all_at_once), print).ask(
        nodes, RecordDict(), TRAIN, 1, Timeouts(), lambda: Reached.too_few
    )  # fmt: skip
    assert [site for site, _ in replies] == sorted(nodes)
    assert max(sizes) == PULLED_AT_ONCE


def test_requests_that_flower_takes_none_of_end_the_run():
    grid = ScriptedGrid(lambda requests: [])
    grid.takes_none = True
    with pytest.raises(FederationError, match="took none of the train requests"):
        ask(RequestChannel(grid, print), Timeouts())


def test_a_late_reply_is_told_once_with_the_round_it_was_for():
    told: list[Event] = []

    def west_is_one_round_late(requests: list[Message]) -> list[Message]:
        round_now = max(int(each.metadata.group_id) for each in requests)
        return [
            answer(each)
            for each in requests
            if each.metadata.dst_node_id == 11 or int(each.metadata.group_id) < round_now
        ]

    mail = RequestChannel(ScriptedGrid(west_is_one_round_late), told.append)
    for number in (1, 2):
        heard = ask(mail, Timeouts(deadline=60), number)
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

    assert ask(RequestChannel(ScriptedGrid(twice_and_unasked), told.append), Timeouts()) == {"east": True, "west": True}
    assert reasons(told) == [("east", 1, "twice"), ("", 0, "unasked")]


def test_what_is_no_parcel_is_a_failure_of_the_site_that_sent_it():
    def broken(requests: list[Message]) -> list[Message]:
        good, bad = map(answer, requests)
        bad.content["arrays.outline"] = ConfigRecord({"names": ["a"], "sizes": [4]})
        bad.content["arrays"] = ConfigRecord({})
        return [good, bad]

    heard = ask(RequestChannel(ScriptedGrid(broken), lambda event: None), Timeouts())
    assert heard == {
        "east": True,
        "west": unusable(RefusalCode.federation, "message: record 'arrays' has an outline and is no parcel"),
    }


def test_the_server_asks_more_rarely_the_longer_it_waits(clock: Clock):
    ask(RequestChannel(ScriptedGrid(lambda requests: []), lambda event: None), Timeouts(deadline=200))
    assert clock.slept[0] == 0.05, "a round of a second is not waited for longer than it takes"
    assert clock.slept == sorted(clock.slept)
    assert clock.slept[-1] == 1.0
    assert len(clock.slept) < 400, "twenty times a second would be 4,000"


def test_a_grid_tells_what_runs_its_sites():
    assert nodes_of(ScriptedGrid(lambda requests: [])) is Nodes.real
    assert nodes_of(InMemoryGrid.__new__(InMemoryGrid)) is Nodes.simulated
