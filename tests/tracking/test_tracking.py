"""Trackers are told what the history tells: read back with each library's own reader."""

import json
import socket
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from fedner.cli import main
from fedner.config import Config, TrackingConfig, WandbMode, differences, from_plain, loads, to_plain
from fedner.data.labels import contract_from_config
from fedner.errors import ConfigError
from fedner.experiments import compare
from fedner.experiments.study_directory import FREE_KEYS
from fedner.protocol import wire
from fedner.records.events import ReplyAccepted, RoundStarted, round_evaluated
from fedner.records.progress import Silent
from fedner.records.results import RoundRecord, RunOutcome
from fedner.records.run_directory import create_run, open_run
from fedner.refusals import RefusalCode, no_reply, unusable
from fedner.server.coordinator import federate
from fedner.simulation.grid import InlineRunner, LocalGrid, site_contexts
from fedner.simulation.running import resume_in_process, run_in_process
from fedner.site import app as client_app
from fedner.tensors import digest
from fedner.tracking import require_extras
from fedner.tracking.measures import Measures
from fedner.tracking.subject import subject_of

LIBRARIES = {"tensorboard": "tensorboard", "mlflow": "mlflow", "wandb": "wandb", "prometheus": "prometheus_client"}
ASKED = {
    "tensorboard": TrackingConfig(tensorboard=True),
    "mlflow": TrackingConfig(mlflow=True),
    "wandb": TrackingConfig(wandb=WandbMode.offline),
    "prometheus": TrackingConfig(prometheus_port=9464),
}


class Watches(Silent):
    """Keeps messages; presses Ctrl-C after a number of training replies; calls back after every round."""

    def __init__(self, stop_after_replies: int = 0) -> None:
        self.messages: list[str] = []
        self._left = stop_after_replies

    def message(self, text: str) -> None:
        self.messages.append(text)

    def advanced(self, done: int, total: int, what: str) -> None:
        if what == "sites":
            self._left -= 1
            if self._left == 0:
                raise KeyboardInterrupt


@pytest.fixture(scope="module")
def untracked(small_config, tmp_path_factory) -> RunOutcome:
    return run_in_process(small_config(rounds=3), tmp_path_factory.mktemp("runs") / "plain")


def tracked(config: Config, output: Path, **tracking: Any) -> Config:
    return replace(config, output=str(output), tracking=TrackingConfig(**tracking))


def lines_of(path: Path, event: str) -> list[dict[str, Any]]:
    return [line for line in open_run(path).history() if line["event"] == event]


def interrupted_and_resumed(config: Config, path: Path) -> RunOutcome:
    """Stop after the first reply of round 3 of 3 (three sites), damage round 2's checkpoint, go on after round 1."""
    with pytest.raises(KeyboardInterrupt):
        run_in_process(config, path, Watches(stop_after_replies=7))
    newest = path / "checkpoints" / "round-0002" / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:-5])
    return resume_in_process(config, path)


def test_a_round_that_is_played_again_is_told_once():
    measures = Measures()
    told = {"round": 1, "examples": 8, "weight": 8.0, "steps": 1, "norm": 0.1, "seconds": 1.0}
    measures.of(ReplyAccepted(site="gone", loss=9.0, **told))
    assert measures.of(RoundStarted(round=1, rounds=1, sites=("here",))) is None
    measures.of(ReplyAccepted(site="here", loss=2.0, **told))
    whole = measures.of(round_evaluated([RoundRecord(round=1, dev=None, seconds=1.0)], 1))
    assert whole is not None
    losses = {name: value for name, value in whole.values.items() if name.startswith("site_loss/")}
    assert losses == {"site_loss/here": 2.0}


def test_who_did_not_answer_is_missing_and_who_answered_badly_is_refused():
    refused = {
        "a": no_reply(RefusalCode.silent, "no reply within 5 s"),
        "b": no_reply(RefusalCode.node_lost, "the node is not there"),
        "c": unusable(RefusalCode.diverged, "the training loss is not finite"),
        "d": replace(no_reply(RefusalCode.silent, "no reply within 5 s"), phase="dev"),
    }
    found = RoundRecord(round=1, dev=None, seconds=1.0, sites=("d", "e"), weights={"d": 3.0, "e": 4.0}, refused=refused)
    line = round_evaluated([found], 1)
    assert line.weights == {"d": 3.0, "e": 4.0}
    assert set(line.missing) == {"a", "b", "d"}
    assert line.refused == {"c": "diverged: the training loss is not finite"}
    assert (line.dev_f1, line.best_f1, line.best) == (None, None, False)  # a skipped round has no score, and is no best


# TensorBoard


def scalars(path: Path) -> dict[str, list[tuple[int, float]]]:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    read = reading.EventAccumulator(str(path / "tensorboard"), size_guidance={"scalars": 0})
    read.Reload()
    return {tag: [(event.step, event.value) for event in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def test_tensorboard_holds_what_the_history_says(small_config, tmp_path: Path, untracked: RunOutcome):
    pytest.importorskip("tensorboard")
    outcome = run_in_process(tracked(small_config(rounds=3), tmp_path, tensorboard=True), tmp_path / "run")
    assert digest(outcome.best_state) == digest(untracked.best_state)
    found, history = scalars(tmp_path / "run"), lines_of(tmp_path / "run", "round evaluated")
    assert found["dev/f1"] == [(line["round"], pytest.approx(line["dev_f1"])) for line in history]
    assert found["train/loss"] == [(line["round"], pytest.approx(line["train_loss"])) for line in history]
    assert found["round/bytes_up"] == [(line["round"], line["bytes_up"]) for line in history]
    losses = [line for line in lines_of(tmp_path / "run", "reply accepted") if line["site"] == "northquay"]
    assert found["site_loss/northquay"] == [(line["round"], pytest.approx(line["loss"])) for line in losses]
    assert found["test/f1"] == [(3, pytest.approx(outcome.result.test.micro.f1))]
    assert {tag for tag in found if tag.startswith("dev_f1/")} == {
        f"dev_f1/{name}" for name in ("PATIENT", "DRUG", "DOSE", "DATE", "HOSPITAL")
    }


def test_a_resumed_run_goes_on_in_the_same_curves_without_a_point_twice(small_config, tmp_path: Path):
    pytest.importorskip("tensorboard")
    config = tracked(small_config(rounds=3), tmp_path, tensorboard=True)
    outcome = interrupted_and_resumed(config, tmp_path / "run")
    f1 = [(entry.round, pytest.approx(entry.dev.micro.f1)) for entry in outcome.result.rounds if entry.dev]
    assert scalars(tmp_path / "run")["dev/f1"] == f1


def test_trackers_may_be_turned_on_when_a_run_goes_on(small_config, tmp_path: Path, untracked: RunOutcome):
    pytest.importorskip("tensorboard")
    with pytest.raises(KeyboardInterrupt):
        run_in_process(small_config(rounds=3), tmp_path / "run", Watches(stop_after_replies=4))
    outcome = resume_in_process(tracked(small_config(rounds=3), tmp_path, tensorboard=True), tmp_path / "run")
    assert digest(outcome.best_state) == digest(untracked.best_state)
    assert [step for step, _ in scalars(tmp_path / "run")["dev/f1"]] == [2, 3]


def test_a_comparison_goes_on_with_other_trackers(small_config):
    asked = replace(small_config(), tracking=TrackingConfig(mlflow=True))
    assert differences(small_config(), asked, free=FREE_KEYS) == []


def test_a_round_whose_last_line_a_kill_prevented_is_told_when_the_run_goes_on(small_config, tmp_path: Path):
    config = small_config(rounds=2)
    with pytest.raises(KeyboardInterrupt):
        run_in_process(config, tmp_path / "run", Watches(stop_after_replies=4))
    history = tmp_path / "run" / "history.jsonl"
    lines = history.read_text().splitlines(keepends=True)
    history.write_text("".join(line for line in lines if "round evaluated" not in line))
    resume_in_process(config, tmp_path / "run")
    assert [line["round"] for line in lines_of(tmp_path / "run", "round evaluated")] == [1, 2]


def test_every_arm_of_a_comparison_has_its_history_and_its_curves(small_config, tmp_path: Path):
    pytest.importorskip("tensorboard")
    plain = to_plain(tracked(small_config(rounds=2), tmp_path, tensorboard=True))
    plain |= {"name": "study", "experiment": {"bootstrap_samples": 100}}
    compare(from_plain(plain), "command", Silent())
    runs = sorted(path.parent for path in (tmp_path / "study" / "arms").rglob("result.json"))
    assert len(runs) == 5  # pooled, federated, three sites alone
    for run in runs:
        rounds = json.loads((run / "result.json").read_text())["rounds"]
        f1 = [(entry["round"], pytest.approx(entry["dev"]["micro"]["f1"])) for entry in rounds]
        assert scalars(run)["dev/f1"] == f1
        history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
        assert [line["dev_f1"] for line in history if line["event"] == "round evaluated"] == [
            entry["dev"]["micro"]["f1"] for entry in rounds
        ]
        assert history[-1]["event"] == "run finished"


# Prometheus


class Scrapes(Silent):
    """Reads the endpoint after every round."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/metrics"
        self.scraped: list[dict[tuple[str, ...], float]] = []

    def round_finished(self, entry: RoundRecord, rounds: int) -> None:
        from prometheus_client.parser import text_string_to_metric_families

        text = urllib.request.urlopen(self.url).read().decode()
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        self.scraped.append({(sample.name, *sample.labels.values()): sample.value for sample in samples})


def test_prometheus_is_told_where_the_run_stands(small_config, tmp_path: Path, reserve_port):
    pytest.importorskip("prometheus_client")
    port = reserve_port()
    watcher = Scrapes(port)
    config = tracked(small_config(rounds=2), tmp_path, prometheus_port=port)
    outcome = run_in_process(config, tmp_path / "run", watcher)
    first, second = watcher.scraped
    rounds, history = outcome.result.rounds, lines_of(tmp_path / "run", "reply accepted")
    assert (first[("fedner_round",)], second[("fedner_round",)]) == (1, 2)
    assert second[("fedner_rounds",)] == 2
    assert first[("fedner_run_info", "run")] == 1
    assert second[("fedner_dev_f1",)] == rounds[1].dev.micro.f1
    assert second[("fedner_best_dev_f1",)] == max(entry.dev.micro.f1 for entry in rounds)
    assert second[("fedner_received_bytes_total",)] == rounds[0].bytes_up + rounds[1].bytes_up
    assert second[("fedner_sites", "counted")] == 3
    assert second[("fedner_site_accepted_total", "northquay")] == 2
    examples = sum(line["examples"] for line in history if line["site"] == "stillwater")
    assert second[("fedner_site_examples_total", "stillwater")] == examples
    assert second[("fedner_site_train_seconds_count", "alderbrook")] == 2
    assert second[("fedner_test_f1",)] != second[("fedner_test_f1",)]  # not a number: there is no test score yet
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(watcher.url)


# Failures


def test_a_tracker_that_cannot_begin_is_told_once_and_the_run_is_the_same(
    small_config, tmp_path: Path, untracked: RunOutcome
):
    pytest.importorskip("prometheus_client")
    watcher = Watches()
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        config = tracked(small_config(rounds=3), tmp_path, prometheus_port=held.getsockname()[1])
        outcome = run_in_process(config, tmp_path / "run", watcher)
    assert digest(outcome.best_state) == digest(untracked.best_state)
    (failure,) = lines_of(tmp_path / "run", "tracker failed")
    assert failure["tracker"] == "prometheus"
    assert "in use" in failure["reason"]
    assert len([text for text in watcher.messages if "prometheus is disabled for the rest of this run" in text]) == 1


def test_a_tracker_that_fails_on_the_way_is_told_once_and_the_run_goes_on(small_config, tmp_path: Path):
    pytest.importorskip("tensorboard")
    config = tracked(small_config(rounds=1), tmp_path, tensorboard=True)
    run = create_run(tmp_path / "run", config, contract_from_config(config.data.contract))
    (run.path / "tensorboard").write_text("a file where the folder should be")
    contexts = site_contexts(3)
    with LocalGrid(InlineRunner(client_app.app, contexts), list(contexts)) as grid:
        federate(config, grid, run)
    assert [line["tracker"] for line in lines_of(run.path, "tracker failed")] == ["tensorboard"]
    assert run.history()[-1]["event"] == "run finished"


def absent() -> Sequence[str]:
    return [extra for extra, library in LIBRARIES.items() if find_spec(library) is None]


@pytest.mark.parametrize("extra", LIBRARIES)
def test_a_missing_extra_is_refused_up_front_with_what_to_install(extra: str):
    if extra not in absent():
        require_extras(ASKED[extra])
        return
    with pytest.raises(ConfigError, match=rf"pip install 'fedner\[{extra}\]'"):
        require_extras(ASKED[extra])


def test_the_command_refuses_before_it_makes_a_directory(tmp_path: Path, capsys):
    if "wandb" not in absent():
        pytest.skip("wandb is installed")
    assert main(["simulate", "experiment=smoke", f"output={tmp_path}", "tracking.wandb=offline"]) == 2
    assert "pip install 'fedner[wandb]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# Privacy


def test_hyper_parameters_hold_no_path_and_no_text(small_config, tmp_path: Path):
    plain = to_plain(small_config(public_dev=["/srv/ward-7/public.conll"]))
    plain["data"] = {
        "kind": "files",
        "train": ["/srv/ward-7/train.conll"],
        "contract_file": "/srv/ward-7/labels.yaml",
    }
    plain["model"]["name"] = "/srv/ward-7/encoder"
    plain |= {"output": str(tmp_path), "name": "run"}
    told = subject_of(from_plain(plain), tmp_path / "study" / "run")
    assert told.name == "study/run"
    assert told.settings["training.lr"] == 0.01
    assert told.settings["data.kind"] == "files"
    assert told.settings["model.name"] == "encoder"
    assert "ward-7" not in str(told.settings)


def test_sites_are_not_told_who_watches(small_config, tmp_path: Path):
    pytest.importorskip("tensorboard")
    seen: list[TrackingConfig] = []
    app = ClientApp()

    @app.query("hello")
    def hello(message: Message, context: Context) -> Message:
        seen.append(loads(wire.read_hello_request(message).config).tracking)
        return client_app.hello(message, context)

    app.train()(client_app.train)
    app.evaluate()(client_app.score_split)
    config = tracked(small_config(rounds=1), tmp_path, tensorboard=True)
    run = create_run(tmp_path / "run", config, contract_from_config(config.data.contract))
    contexts = site_contexts(3)
    with LocalGrid(InlineRunner(app, contexts), list(contexts)) as grid:
        federate(config, grid, run)
    assert seen == [TrackingConfig()] * 3


@pytest.mark.parametrize(
    ("tracking", "told"),
    [
        ({"prometheus_port": 70000}, "tracking.prometheus_port: expected a port in"),
        ({"prometheus_host": " "}, "tracking.prometheus_host: expected a name"),
        ({"mlflow_uri": "https://me:secret@mlflow.example"}, "MLFLOW_TRACKING_PASSWORD"),
    ],
)
def test_a_tracking_value_out_of_range_is_refused(tracking: dict[str, Any], told: str):
    with pytest.raises(ConfigError, match=told) as refused:
        TrackingConfig(**tracking)
    assert "secret" not in str(refused.value)


# MLflow and W&B: heavy, so that only `make test-slow` installs them.


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_mlflow_holds_what_the_history_says_once_although_the_run_was_interrupted(small_config, tmp_path: Path):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    config = tracked(small_config(rounds=3), tmp_path, mlflow=True)
    outcome = interrupted_and_resumed(config, tmp_path / "run")
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("fedner")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    assert run.data.params["training.lr"] == "0.01"
    assert run.data.params["aggregation.kind"] == "fedavg"
    told = sorted((metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, "dev/f1"))
    assert told == [(entry.round, entry.dev.micro.f1) for entry in outcome.result.rounds if entry.dev]
    assert run.data.metrics["test/f1"] == outcome.result.test.micro.f1


def wandb_records(path: Path) -> Iterator[bytes]:
    """Yield what a .wandb file holds: LevelDB's log format (blocks of 32 KiB, records that may span them) after a head.

    W&B 0.31 reads its files outside Python only; the records themselves are parsed by its own classes.
    """
    content, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(content):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        whole += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield whole
            whole = b""


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_wandb_offline_writes_one_run_into_the_run_directory(small_config, tmp_path: Path):
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    config = tracked(small_config(rounds=3), tmp_path, wandb=WandbMode.offline)
    outcome = interrupted_and_resumed(config, tmp_path / "run")
    files = sorted((tmp_path / "run" / "tracking" / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(files) == 2  # one for each process
    assert len({path.name for path in files}) == 1  # one W&B run
    told: list[tuple[int, float]] = []
    for path in files:
        assert socket.gethostname().encode() not in path.read_bytes()
        for content in wandb_records(path):
            items = Record.FromString(content).history.item
            row = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
            if "dev/f1" in row:
                told.append((row["_step"], row["dev/f1"]))
    assert told == [(entry.round, entry.dev.micro.f1) for entry in outcome.result.rounds if entry.dev]
