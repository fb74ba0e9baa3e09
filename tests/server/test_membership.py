"""Sites that come, go and come back, on a grid whose nodes the test moves about."""

from dataclasses import asdict, replace

import pytest
from flwr.app import Error, Message
from scripted_grid import Clock, ScriptedGrid, stop_clock

from fedner.data.labels import EntityType, LabelContract
from fedner.errors import ConfigError, FederationError
from fedner.protocol import wire
from fedner.protocol.messages import UNKNOWN, Header, HelloReply, HelloRequest
from fedner.records.events import Event
from fedner.server.membership import Members
from fedner.server.run_config import nodes_text, registered_nodes

CONTRACT = LabelContract("people", 1, (EntityType("PER", "A person"),))
OTHER = LabelContract("people", 1, (EntityType("PERSON", "A person"),))
HEADER = Header(run="r", round=0, seed=0, contract=CONTRACT.digest)
REQUEST = HelloRequest(header=HEADER, config="{}")


def named(site: str, contract: LabelContract = CONTRACT) -> HelloReply:
    return HelloReply(
        header=replace(HEADER, contract=contract.digest), site=site, contract=contract, fedner_version=UNKNOWN,
        flower_version=UNKNOWN, train_sentences=10, dev_sentences=1, test_sentences=1,
    )  # fmt: skip


class Town:
    """The people behind the nodes: one who has nothing to say yet keeps silent, one who is lost is Flower's error."""

    def __init__(self, people: dict[int, HelloReply | None]) -> None:
        self.people = people
        self.lost: set[int] = set()
        self.grid = ScriptedGrid(self._answers, self.people)

    def _answers(self, requests: list[Message]) -> list[Message]:
        replies = []
        for message in requests:
            said = self.people.get(message.metadata.dst_node_id)
            if message.metadata.dst_node_id in self.lost:
                replies.append(Message(Error(5, "node unavailable"), reply_to=message))
            elif said is not None:
                replies.append(Message(wire.hello_reply(said), reply_to=message))
        return replies


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return stop_clock(monkeypatch)


@pytest.fixture
def town() -> Town:
    return Town({11: named("east"), 12: named("west")})


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def members(town: Town, told: list[Event]) -> Members:
    members = Members(town.grid, REQUEST, CONTRACT, told.append)
    members.connect(2, 5)
    return members


def plain(told: list[Event]) -> list[tuple[str, str]]:
    return [(event.event, asdict(event).get("site", "")) for event in told]


def test_a_late_site_takes_part_from_the_next_round_on(town: Town, members: Members, told: list[Event]):
    town.people[13] = None  # connected, still reading its text
    members.update(1)
    assert members.names == ("east", "west")
    town.people[13] = named("north")
    members.update(2)
    assert members.names == ("east", "north", "west")
    assert plain(told) == [("site joined", "north")]


def test_a_late_site_with_another_contract_is_refused_and_the_run_goes_on(
    town: Town, members: Members, told: list[Event]
):
    town.people[13] = named("north", OTHER)
    members.update(1)
    members.update(2)
    assert members.names == ("east", "west")
    assert plain(told) == [("site refused", "north")]
    assert "only in theirs: PERSON" in asdict(told[0])["reason"]


def test_a_site_that_leaves_still_counts_in_shares_and_comes_back_as_another_node(
    town: Town, members: Members, told: list[Event]
):
    del town.people[12]
    members.update(1)
    assert members.names == ("east",)
    assert set(members.hellos) == {"east", "west"}
    town.people[99] = named("west")
    members.update(2)
    assert members.nodes == {"east": 11, "west": 99}
    assert plain(told) == [("site left", "west"), ("site joined", "west")]


def test_a_node_that_comes_back_under_its_old_id_needs_no_new_greeting(town: Town, members: Members, told: list[Event]):
    away = town.people.pop(12)
    members.update(1)
    town.people[12] = away
    members.update(2)
    assert members.nodes == {"east": 11, "west": 12}
    assert plain(told) == [("site left", "west"), ("site joined", "west")]


def test_a_second_node_of_one_name_waits_until_the_first_has_gone(town: Town, members: Members, told: list[Event]):
    town.people[99] = named("west")
    for number in (1, 2):
        members.update(number)
    assert members.nodes["west"] == 12
    del town.people[12]
    members.update(3)
    assert members.nodes["west"] == 99
    assert plain(told) == [("site refused", "west"), ("site left", "west"), ("site joined", "west")]


def test_a_node_that_is_lost_while_it_is_greeted_is_greeted_again(town: Town, members: Members, told: list[Event]):
    town.people[13], town.lost = None, {13}
    members.update(1)
    town.people[13], town.lost = named("north"), set()
    members.update(2)
    assert members.names == ("east", "north", "west")
    assert plain(told) == [("site joined", "north")]


def test_a_dead_node_that_flower_still_lists_does_not_end_the_handshake(town: Town, told: list[Event]):
    town.people[13], town.lost = None, {13}
    members = Members(town.grid, REQUEST, CONTRACT, told.append)
    members.connect(2, 5)
    assert members.names == ("east", "west")


def test_a_round_that_cannot_begin_without_a_site_waits_for_it(town: Town, members: Members, clock: Clock):
    away = town.people.pop(12)
    members.update(1)
    assert away is not None
    members.wait_for(1, [], 60, 2)
    assert clock.now == 0, "one site is enough"
    members.wait_for(1, ["west"], 60, 2)
    assert 60 <= clock.now <= 61
    assert members.names == ("east",)
    town.people[12] = away
    members.wait_for(1, ["west"], 60, 2)
    assert members.names == ("east", "west")


def test_two_nodes_of_one_name_at_the_start_are_for_somebody_to_mend(town: Town, told: list[Event]):
    town.people[12] = named("east")
    with pytest.raises(FederationError, match="two nodes call themselves 'east'"):
        Members(town.grid, REQUEST, CONTRACT, told.append).connect(1, 5)


def test_a_site_that_calls_itself_another_than_its_keys_is_refused_and_says_whose_key_it_has(town, told):
    members = Members(town.grid, REQUEST, CONTRACT, told.append, registered={11: "east", 12: "south"})
    with pytest.raises(FederationError, match="a node calls itself 'west', but has the key of 'south'"):
        members.connect(2, 5)


def test_a_node_that_nobody_registered_may_not_join_a_run_under_way(town, told):
    members = Members(town.grid, REQUEST, CONTRACT, told.append, registered={11: "east", 12: "west"})
    members.connect(2, 5)
    town.people[13] = named("north")
    members.update(1)
    members.update(1)
    assert members.names == ("east", "west")
    assert ("site refused", "north") in plain(told)


def test_who_is_who_travels_as_text():
    assert registered_nodes(nodes_text({2**63 + 1: "north", 5: "süd"})) == {2**63 + 1: "north", 5: "süd"}
    assert registered_nodes(" ") is None
    for text in ("[]", "x", '{"north": "5"}'):
        with pytest.raises(ConfigError, match="under `nodes`"):
            registered_nodes(text)
