"""Stopped, killed or damaged runs go on to the bytes that an undisturbed run ends with."""

import json
import multiprocessing
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedner.cli import main
from fedner.config import Config, from_plain, to_plain
from fedner.errors import RunDirectoryError
from fedner.records.progress import Silent
from fedner.records.results import RoundRecord, RunOutcome, load_run, run_to_json, save_run
from fedner.records.run_directory import lock_run, open_run
from fedner.simulation.running import resume_in_process, run_in_process
from fedner.tensors import digest


def essence(outcome: RunOutcome) -> dict[str, Any]:
    """Return everything a run found, but for times."""
    return timeless(run_to_json(outcome.result)) | {
        "weights": digest(outcome.best_state),
        "documents": {site: counts.tolist() for site, counts in outcome.test_counts.items()},
    }


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: timeless(each) for key, each in value.items() if not key.endswith("seconds")}
    return [timeless(each) for each in value] if isinstance(value, list | tuple) else value


class StopsAfter(Silent):
    """Presses Ctrl-C when a number of training replies, or of whole rounds, have come."""

    def __init__(self, replies: int = 0, rounds: int = 0) -> None:
        self.left = {"replies": replies, "rounds": rounds}
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def advanced(self, done: int, total: int, what: str) -> None:
        if what == "sites":
            self._count("replies")

    def round_finished(self, entry: RoundRecord, rounds: int) -> None:
        self._count("rounds")

    def _count(self, what: str) -> None:
        self.left[what] -= 1
        if self.left[what] == 0:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def config(small_config) -> Config:
    """Everything that has to survive: kept moments, a server with moments, a seeded share of the sites, half epochs."""
    plain = to_plain(small_config(rounds=4, fraction=0.67, training={"optimizer_state": "keep", "epochs": 0.5}))
    plain["aggregation"] = {"kind": "fedadam", "server_lr": 0.01}
    return from_plain(plain)


@pytest.fixture(scope="module")
def undisturbed(config: Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return essence(run_in_process(config, tmp_path_factory.mktemp("runs") / "run"))


@pytest.mark.parametrize("replies", [1, 3, 6])
def test_stopped_within_a_round_it_ends_with_the_same_bytes(
    replies: int, config: Config, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_in_process(config, tmp_path / "run", StopsAfter(replies=replies))
    assert essence(resume_in_process(config, tmp_path / "run")) == undisturbed


def test_stopped_again_and_again_it_ends_with_the_same_bytes(
    config: Config, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_in_process(config, tmp_path / "run", StopsAfter(rounds=1))
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            resume_in_process(config, tmp_path / "run", StopsAfter(rounds=1))
    outcome = resume_in_process(config, tmp_path / "run")  # all rounds are done, the final test is not
    assert essence(outcome) == undisturbed
    events = [line["event"] for line in open_run(tmp_path / "run").history()]
    assert events.count("run resumed") == 4
    assert events.count("round aggregated") == 4


def test_a_damaged_newest_checkpoint_costs_one_round_and_no_bit(
    config: Config, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_in_process(config, tmp_path / "run", StopsAfter(rounds=3))
    newest = tmp_path / "run" / "checkpoints" / "round-0003" / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:-5])
    told = StopsAfter()
    assert essence(resume_in_process(config, tmp_path / "run", told)) == undisturbed
    assert any("round-0003" in text for text in told.messages)
    assert "resumes after round 2 of 4" in told.messages


@pytest.mark.parametrize(
    ("training", "kind"),
    [({"scaffold": True}, "fedavg"), ({"scaffold": True}, "fedyogi"), ({"dyn_alpha": 0.1}, "feddyn")],
)
def test_what_sites_and_server_know_of_their_drift_survives(
    training: dict[str, Any], kind: str, small_config: Any, tmp_path: Path
) -> None:
    plain = to_plain(small_config(rounds=4, fraction=0.67))
    config = from_plain({**plain, "training": {**plain["training"], **training}, "aggregation": {"kind": kind}})
    whole = essence(run_in_process(config, tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        run_in_process(config, tmp_path / "run", StopsAfter(replies=5))
    assert essence(resume_in_process(config, tmp_path / "run")) == whole
    other = run_in_process(small_config(rounds=4, fraction=0.67), tmp_path / "other")
    assert other.result.state_digest != whole["state_digest"]


def test_sites_in_worker_processes_give_the_same_bytes_and_remember_too(
    config: Config, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    side_by_side = replace(config, federation=replace(config.federation, workers=2))
    with pytest.raises(KeyboardInterrupt):
        run_in_process(side_by_side, tmp_path / "run", StopsAfter(replies=3))
    assert multiprocessing.active_children() == []
    assert essence(resume_in_process(side_by_side, tmp_path / "run")) == undisturbed
    assert multiprocessing.active_children() == []


def test_a_half_written_line_of_history_is_cut_off(config: Config, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_in_process(config, tmp_path / "run", StopsAfter(rounds=1))
    with (tmp_path / "run" / "history.jsonl").open("a") as history:
        history.write('{"event": "round sta')
    resume_in_process(config, tmp_path / "run")
    lines = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines][-1] == "run finished"


@pytest.fixture(scope="module")
def stopped(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.raises(KeyboardInterrupt):
        run_in_process(config, path, StopsAfter(rounds=2))
    return path


def test_a_config_that_would_change_the_result_is_refused_with_the_difference(stopped: Path, config: Config) -> None:
    other = replace(config, training=replace(config.training, lr=0.5))
    with pytest.raises(RunDirectoryError, match=r"training\.lr was 0\.01, now 0\.5"):
        resume_in_process(other, stopped)
    fewer = replace(config, federation=replace(config.federation, rounds=3))
    with pytest.raises(RunDirectoryError, match=r"federation\.rounds was 4, now 3"):
        resume_in_process(fewer, stopped)


def test_a_run_at_work_is_left_alone(stopped: Path, config: Config) -> None:
    with lock_run(stopped), pytest.raises(RunDirectoryError, match="another process"):
        resume_in_process(config, stopped)
    with lock_run(stopped):
        pass  # the hold above was let go of


def test_a_finished_run_goes_on_only_for_more_rounds(stopped: Path, config: Config, tmp_path: Path) -> None:
    shutil.copytree(stopped, tmp_path / "run")
    save_run(tmp_path / "run", resume_in_process(config, tmp_path / "run"))
    with pytest.raises(RunDirectoryError, match="finished after 4 rounds"):
        resume_in_process(config, tmp_path / "run")
    more = replace(config, federation=replace(config.federation, rounds=5))
    outcome = resume_in_process(more, tmp_path / "run")
    assert [entry.round for entry in outcome.result.rounds] == [1, 2, 3, 4, 5]
    assert open_run(tmp_path / "run").history()[-1]["event"] == "run finished"


def test_a_damaged_memory_keeps_its_site_out_and_is_named(stopped: Path, config: Config, tmp_path: Path) -> None:
    shutil.copytree(stopped, tmp_path / "run")
    for path in (tmp_path / "run" / "sites" / "0").glob("*.safetensors"):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(bytes(content))
    outcome = resume_in_process(config, tmp_path / "run")
    refused = [entry.refused for entry in outcome.result.rounds[2:] if entry.refused]
    assert any("is not what was written" in reason.sentence for reasons in refused for reason in reasons.values())


SMALL = [
    "experiment=smoke",
    "data.institutions=3",
    "training.threads=1",
    "training.optimizer_state=keep",
    "federation.rounds=6",
]


def end_to_end(path: Path) -> dict[str, Any]:
    run = load_run(path)
    assert run is not None
    counts = {site: np.asarray(array).tolist() for site, array in run.test_counts.items()}
    return timeless(asdict(run.result)) | {"documents": counts}


# Kills itself at its n-th look at or change of a run's files, or tells how many there are until its result is written.
KILLED_AT = """
import os, signal, sys
from fedner.cli import main

left, inside, seen, ended = int(sys.argv[1]), sys.argv[2], 0, False

def watch(event, arguments):
    global seen, ended
    if event in ("open", "os.rename", "os.mkdir", "os.remove") and inside in str(arguments[0]) and not ended:
        seen, ended = seen + 1, "result.json" in str(arguments[0])
        if seen == left:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
status = main(sys.argv[3:])
print(seen)
sys.exit(status)
"""


@pytest.mark.slow
def test_killed_at_any_moment_the_command_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    def start(name: str, at: int) -> subprocess.CompletedProcess[str]:
        given = ["simulate", *SMALL, f"output={tmp_path}", f"name={name}"]
        command = [sys.executable, "-c", KILLED_AT, str(at), f"{tmp_path}/{name}", *given]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    whole = start("whole", 0)
    assert whole.returncode == 0
    moments = int(whole.stdout.splitlines()[-1])
    for seed in range(3):
        at = random.Random(seed).randint(moments // 10, moments)  # before the history there is nothing to go on with
        killed = tmp_path / f"killed-{seed}"
        assert start(killed.name, at).returncode == -signal.SIGKILL
        assert main(["simulate", f"resume={killed}"]) == 0
        assert end_to_end(killed) == end_to_end(tmp_path / "whole"), at


def test_the_command_says_what_resume_wants(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "resume="]) == 2
    assert main(["simulate", f"resume={stopped}", "--multirun"]) == 2
    assert main(["simulate", "resume=nowhere"]) == 2
    assert main(["simulate", f"resume={stopped}", "training.lr=0.5"]) == 1
    told = capsys.readouterr().err
    assert "resume=runs/NAME" in told
    assert "no readable nowhere/config.yaml" in told
    assert "training.lr was 0.01, now 0.5" in told
