import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from fedner.config import Config, loads, to_plain
from fedner.config.paths import absolute_paths, new_run_path
from fedner.data.labels import LabelContract, contract_from_config, read_contract
from fedner.errors import RunDirectoryError
from fedner.records import run_directory as runs
from fedner.records.environment import environment
from fedner.records.events import ReplyRefused, RoundStarted, RunFinished
from fedner.records.run_directory import RunDirectory, create_run, open_run, read_config


@pytest.fixture
def config(small_config) -> Config:
    return small_config()


@pytest.fixture
def contract(config: Config) -> LabelContract:
    return contract_from_config(config.data.contract)


@pytest.fixture
def run(tmp_path: Path, config: Config, contract: LabelContract) -> RunDirectory:
    return create_run(tmp_path / "run", config, contract)


def test_a_saved_config_is_the_same_config_again(run: RunDirectory, config: Config):
    assert read_config(run.path / "config.yaml") == config


def test_the_contract_of_a_run_reads_back_equal(run: RunDirectory, contract: LabelContract):
    assert read_contract(run.path / "contract.yaml") == contract


def test_a_run_directory_can_be_opened_again(run: RunDirectory):
    assert open_run(run.path).name == "run"


def test_a_directory_of_something_else_is_refused_and_left_alone(
    tmp_path: Path, config: Config, contract: LabelContract
):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RunDirectoryError, match="files of something else"):
        create_run(tmp_path, config, contract, restart=True)
    with pytest.raises(RunDirectoryError, match=r"without config.yaml"):
        open_run(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_a_directory_that_holds_a_run_is_refused(run: RunDirectory, config: Config, contract: LabelContract):
    with pytest.raises(RunDirectoryError, match="a run already"):
        create_run(run.path, config, contract)


def test_a_directory_is_made_whole_or_not_at_all(
    tmp_path: Path, config: Config, contract: LabelContract, monkeypatch: pytest.MonkeyPatch
):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "write_contract", killed)
        with pytest.raises(KeyboardInterrupt):
            create_run(tmp_path / "run", config, contract)
    assert not (tmp_path / "run").exists()
    assert create_run(tmp_path / "run", config, contract).name == "run"


def test_an_empty_directory_behind_a_link_is_used(tmp_path: Path, config: Config, contract: LabelContract):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    create_run(tmp_path / "run", config, contract)
    assert (tmp_path / "disk" / "config.yaml").is_file()


def test_restart_replaces_an_unfinished_run_only(run: RunDirectory, config: Config, contract: LabelContract):
    run.record(RoundStarted(round=1, rounds=2, sites=("a",)))
    second = create_run(run.path, config, contract, restart=True)
    assert second.history() == []
    # Killed after its last event and before its result was written, it is not finished yet.
    scores = {"test_f1": 0.5, "test_precision": 0.5, "test_recall": 0.5, "test_sites": {"a": 0.5}}
    second.record(RunFinished(rounds=1, best_round=1, state="x", seconds=1.0, withheld={}, **scores))
    assert create_run(run.path, config, contract, restart=True).history() == []
    (run.path / "result.json").write_text("{}")
    with pytest.raises(RunDirectoryError, match="a run already"):
        create_run(run.path, config, contract, restart=True)


def test_history_is_one_json_object_a_line_readable_at_once(run: RunDirectory):
    run.record(RoundStarted(round=1, rounds=2, sites=("a", "b")))
    run.record(ReplyRefused(round=1, phase="train", site="b", reason="diverged: …"))
    lines = [json.loads(line) for line in run.history_path.read_text(encoding="utf-8").splitlines()]
    assert [line["event"] for line in lines] == ["round started", "reply refused"]
    assert lines[1]["reason"] == "diverged: …"
    assert all("time" in line for line in lines)


def test_a_history_line_cut_short_by_a_crash_is_left_out(run: RunDirectory):
    run.record(RoundStarted(round=1, rounds=2, sites=("a",)))
    with run.history_path.open("a", encoding="utf-8") as history:
        history.write('{"event": "round aggr')
    assert len(run.history()) == 1


def test_history_on_a_full_disk_says_so(run: RunDirectory, full_disk):
    with full_disk(16), pytest.raises(RunDirectoryError, match=r"cannot write the history \(File too large"):
        run.record(RoundStarted(round=1, rounds=2, sites=("a",)))


def test_environment_says_what_ran():
    told = environment(3)
    assert told["threads"] == 3
    assert {"flwr", "torch", "numpy"} <= set(told["packages"])
    assert math.isfinite(told["cores"])


def test_relative_paths_are_seen_from_the_given_folder(tmp_path: Path, config: Config):
    plain = to_plain(config)
    plain["data"] = {"kind": "files", "train": ["a.conll"], "dev": ["/abs/b.conll"], "contract_file": "c.yaml"}
    plain["data"]["exclude_documents"] = "ids.txt"
    plain["federation"]["public_dev"] = ["p.conll"]
    (tmp_path / "encoder").mkdir()
    plain["model"]["name"] = "encoder"
    seen = absolute_paths(loads(json.dumps(plain)), tmp_path)
    data = to_plain(seen)["data"]
    assert (data["train"], data["dev"]) == ([str(tmp_path / "a.conll")], ["/abs/b.conll"])
    assert data["contract_file"] == str(tmp_path / "c.yaml")
    assert data["exclude_documents"] == str(tmp_path / "ids.txt")
    assert seen.model.name == str(tmp_path / "encoder")
    assert seen.federation.public_dev == [str(tmp_path / "p.conll")]
    assert seen.output == str(tmp_path / "runs")


def test_names_that_are_no_folders_stay_names(tmp_path: Path, config: Config):
    assert absolute_paths(config, tmp_path).model.name == "tiny-random"


def test_a_named_run_lies_under_its_name(config: Config):
    assert new_run_path(replace(config, name="mine"), "simulate") == Path("runs/mine")
    assert new_run_path(config, "simulate").name.startswith("simulate-synthetic-")
