"""What the server puts together, from Flower's own database and from run directories on disk."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flwr.common.constant import NOOP_FLWR_AID
from flwr.supercore.constant import NOOP_FEDERATION_ID, TaskType
from flwr.superlink.config_loader import get_federation_manager, get_objectstore_linkstate_factories
from watched import finished, half_way

from fedner.deployment.monitoring import collector
from fedner.deployment.monitoring.collector import StatusCollector
from fedner.deployment.monitoring.status import RunProgress
from fedner.deployment.provisioning.keys import make_key, public_line
from fedner.deployment.service.superlink import register

# Flower's own migrations configure alembic in a way that alembic has come to warn about.
pytestmark = pytest.mark.filterwarnings("ignore:No path_separator found:DeprecationWarning")


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    database = tmp_path_factory.mktemp("collector") / "superlink.db"
    _, factory = get_objectstore_linkstate_factories(str(database), get_federation_manager())
    sites = ("north", "south", "east")
    register(factory.state(), {name: public_line(make_key().public_key(), name).decode() for name in sites})
    return factory.state()


@pytest.fixture
def runs(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(collector, "FRESH_SECONDS", 0.0)
    return tmp_path / "runs"


def write(runs: Path, text: str, mode: str = "a", run: str = "first") -> None:
    (runs / run).mkdir(parents=True, exist_ok=True)
    with (runs / run / "history.jsonl").open(mode) as history:
        history.write(text)


def lines(events: list[dict]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


def submit(state, name: str) -> int:
    config = {"config": json.dumps({"name": name})}
    return state.create_run("", "", "", config, NOOP_FEDERATION_ID, None, NOOP_FLWR_AID, TaskType.SERVER_APP)


def test_a_history_is_followed_line_by_line_and_one_that_began_anew_from_its_start(state, runs):
    look = StatusCollector("nord", runs, state)

    def progress() -> RunProgress:
        (found,) = [run.progress for run in look().runs if run.progress.name == "first"]
        return found

    write(runs, lines(half_way()[:6]) + '{"time": "2026')  # a line that is being written
    assert progress().round == 1
    write(runs, "", "w")
    write(runs, lines(half_way()))
    assert [each.round for each in progress().rounds] == [1, 2]
    write(runs, lines(finished("north", "south")))
    assert (progress().test_f1, progress().status) == (0.65, "not running")
    (runs / "first" / "result.json").write_text("{}")
    assert progress().status == "finished"


def test_sites_are_seen_as_flower_knows_them_and_runs_as_it_runs_them(state, runs):
    (node,) = [node for node in state.get_node_info() if node.name == "north"]
    before = datetime.now(UTC).replace(microsecond=0)
    assert state.activate_node(node.node_id, 30.0)
    write(runs, lines(half_way()), run="wards")
    submit(state, "wards")
    submit(state, "second")
    told = StatusCollector("nord", runs, state)()
    assert [(site.name, site.online, site.seen is None) for site in told.sites] == [
        ("east", False, True), ("north", True, False), ("south", False, True),
    ]  # fmt: skip
    assert (told.registered, told.online) == (3, 1)
    assert before <= _moment(told.sites[1].seen) <= _moment(told.moment)
    assert [(run.progress.name, run.progress.status) for run in told.runs] == [
        ("second", "pending"), ("wards", "pending"),
    ]  # fmt: skip  # the newest first


def test_the_server_looks_no_more_often_for_many_who_look(state, runs, monkeypatch):
    monkeypatch.setattr(collector, "FRESH_SECONDS", 3600.0)
    look = StatusCollector("nord", runs, state)
    first = look()
    write(runs, lines(half_way()))
    assert look() is first


def _moment(text: str | None) -> datetime:
    assert text is not None
    return datetime.fromisoformat(text)
