import pytest

from fedner.config import FederationConfig
from fedner.errors import ConfigError
from fedner.protocol.nodes import Nodes
from fedner.server.timeouts import Reached, Timeouts, Waited, give_up, timeouts_for

SET = FederationConfig(wait_seconds=60, deadline_seconds=100, grace_seconds=20, straggler_seconds=5)


def after(asked: float, last_reply: float | None = None, quorum: float | None = None) -> Waited:
    return Waited(asked=asked, last_reply=last_reply, quorum=quorum)


def test_sites_in_the_servers_process_are_never_given_up():
    assert timeouts_for(SET, Nodes.here, False) == Timeouts()
    assert give_up(Timeouts(), after(1e9, 1e9, 1e9), Reached.quorum) is None


def test_in_a_simulation_only_the_deadline_holds_and_only_if_there_is_one():
    assert timeouts_for(SET, Nodes.simulated, False) == Timeouts(deadline=100, grace=20)
    assert timeouts_for(FederationConfig(), Nodes.simulated, False) == Timeouts()


def test_scores_are_waited_for_until_the_deadline():
    assert timeouts_for(SET, Nodes.real, False).straggler == 5
    assert timeouts_for(SET, Nodes.real, True).straggler is None


@pytest.mark.parametrize(
    ("waited", "reached", "told"),
    [
        (after(99, 1), Reached.too_few, None),
        (after(101, 1), Reached.too_few, None),  # within the grace
        (after(121, 1), Reached.too_few, "within 100 s (federation.deadline_seconds and federation.grace_seconds)"),
        (after(101, 1, 1), Reached.quorum, "within 100 s (federation.deadline_seconds)"),
        (after(30, 1, 4), Reached.quorum, None),
        (after(30, 1, 6), Reached.quorum, "within 5 s of the quorum (federation.straggler_seconds)"),
        (after(90, 61), Reached.too_few, "within 60 s of the last one (federation.wait_seconds)"),
        (after(90), Reached.too_few, None),  # nobody has answered yet: training takes its time
        (after(1, 0, 0), Reached.target, "enough other sites were faster (federation.spares)"),
    ],
)
def test_what_ends_the_wait(waited: Waited, reached: Reached, told: str | None):
    reason = give_up(timeouts_for(SET, Nodes.real, False), waited, reached)
    assert (reason is None) if told is None else (reason is not None and told in str(reason))


@pytest.mark.parametrize(
    "given",
    [{"grace_seconds": 5.0}, {"grace_seconds": -1.0, "deadline_seconds": 9.0}, {"straggler_seconds": -1.0},
     {"spares": -1}],
)  # fmt: skip
def test_limits_that_make_no_sense_are_refused_by_name(given: dict):
    with pytest.raises(ConfigError, match=rf"federation\.{next(iter(given))}"):
        FederationConfig(**given)
