"""A whole comparison on generated text: real federation, real training, real files."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fedner.cli import main
from fedner.cli.compose import run_composed
from fedner.config import Config
from fedner.errors import FednerError, RunDirectoryError
from fedner.experiments import compare
from fedner.records.progress import Silent
from fedner.records.results import RoundRecord

SMALL = [
    "experiment=smoke",
    "data.institutions=3",
    "data.train_documents=24",
    "data.dev_documents=9",
    "data.test_documents=9",
    "training.threads=1",
    "experiment.bootstrap_samples=100",
    "federation.rounds=2",
]


def composed(*overrides: str) -> Config:
    found: list[Config] = []
    run_composed("config", list(overrides), found.append)
    return found[0]


def small(output: Path, *overrides: str) -> Config:
    return composed(*SMALL, f"output={output}", *overrides)


def metrics(directory: Path) -> dict:
    return json.loads((directory / "report" / "metrics.json").read_text())


STUDIED = ["experiment.seeds=[0,1]", "training.lr=0.01", "federation.rounds=4"]


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    return compare(small(tmp_path_factory.mktemp("study"), *STUDIED), "cmd", Silent())


def test_every_arm_site_and_seed_is_there(study):
    arms = metrics(study)["arms"]
    assert set(arms) == {"centralized", "federated", "local"}
    assert len(arms["local"]["sites"]) == 3
    runs = [arms["centralized"], arms["federated"], *arms["local"]["sites"].values()]
    assert all(set(run["seeds"]) == {"0", "1"} for run in runs)


def test_the_pooled_test_score_is_the_sum_of_the_sites_counts(study):
    for arm in ("centralized", "federated"):
        for run in metrics(study)["arms"][arm]["seeds"].values():
            for key in ("tp", "fp", "fn"):
                assert run["test"]["micro"][key] == sum(score["micro"][key] for score in run["sites"].values())


def test_all_arms_are_scored_on_the_same_entities(study):
    arms = metrics(study)["arms"]
    runs = [arms["centralized"], arms["federated"], *arms["local"]["sites"].values()]
    supports = {run["seeds"][seed]["test"]["micro"]["support"] for run in runs for seed in ("0", "1")}
    assert len(supports) == 1


def test_whether_the_test_text_was_trained_on_is_looked_for(study):
    data = metrics(study)["data"]
    leakage = data["leakage"]
    assert leakage["documents"] == data["splits"]["test"]["documents"]
    assert (leakage["leaked"], leakage["left_out"], leakage["unchecked"]) == (0, 0, None)
    assert "The test set is clean" in (study / "report" / "report.md").read_text()


def test_what_the_encoder_sees_is_told_for_every_split(study):
    data = metrics(study)["data"]
    assert list(data["encoding"]) == ["train", "dev", "test"]
    for split, stats in data["encoding"].items():
        assert stats["words"] == data["splits"][split]["words"]
        assert stats["sentences"] == data["splits"][split]["sentences"]
        assert stats["pieces"] >= stats["words"] + 2 * stats["windows"]  # [CLS] and [SEP] of every window


def test_arms_see_the_same_number_of_examples(study):
    arms = metrics(study)["arms"]
    central = arms["centralized"]["seeds"]["0"]["examples_seen"]
    assert arms["federated"]["seeds"]["0"]["examples_seen"] == pytest.approx(central, rel=0.05)
    alone = sum(site["seeds"]["0"]["examples_seen"] for site in arms["local"]["sites"].values())
    assert alone == pytest.approx(central, rel=0.05)


def test_the_gap_closed_is_the_ratio_of_the_summaries(study):
    summary = metrics(study)["summary"]
    local, pooled = summary["local"]["mean"], summary["centralized"]["mean"]
    assert pooled > local, "the fixture must have a gap, or this test says nothing"
    expected = (summary["federated"]["mean"] - local) / (pooled - local)
    assert summary["gap_closed"]["mean"] == pytest.approx(expected)


def test_the_local_mean_is_over_sites_and_seeds(study):
    content = metrics(study)
    scores = [
        run["test"]["micro"]["f1"]
        for site in content["arms"]["local"]["sites"].values()
        for run in site["seeds"].values()
    ]
    assert content["summary"]["local"]["mean"] == pytest.approx(np.mean(scores))


def test_seeds_differ_and_the_report_is_written(study):
    seeds = metrics(study)["arms"]["federated"]["seeds"]
    assert seeds["0"]["state_digest"] != seeds["1"]["state_digest"]
    page = (study / "report" / "index.html").read_text()
    assert "<html" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert (study / "model" / "model.safetensors").is_file()


class StopsAt(Silent):
    def __init__(self, title: str) -> None:
        self.title = title

    def run_started(self, title: str) -> None:
        if title.startswith(self.title):
            raise KeyboardInterrupt


class Counts(Silent):
    def __init__(self) -> None:
        self.started: list[str] = []
        self.rounds: list[RoundRecord] = []

    def run_started(self, title: str) -> None:
        self.started.append(title)

    def round_finished(self, entry: RoundRecord, rounds: int) -> None:
        self.rounds.append(entry)


def test_an_interrupted_comparison_reports_what_it_has_and_goes_on_to_the_same_result(tmp_path):
    whole = compare(small(tmp_path, "name=whole"), "cmd", Silent())
    config = small(tmp_path, "name=broken")
    with pytest.raises(KeyboardInterrupt):
        compare(config, "cmd", StopsAt("local/"))
    partial = metrics(tmp_path / "broken")
    assert partial["complete"] is False
    assert len(partial["missing"]) == 3
    counts = Counts()
    broken = compare(config, "cmd", counts)
    assert all(title.startswith("local/") for title in counts.started)
    assert len(counts.started) == 3
    before, after = metrics(whole), metrics(broken)
    assert before["summary"] == after["summary"]
    for site, runs in before["arms"]["local"]["sites"].items():
        again = after["arms"]["local"]["sites"][site]["seeds"]["0"]
        assert runs["seeds"]["0"]["state_digest"] == again["state_digest"]


class StopsAfterRound(Silent):
    """Presses Ctrl-C when a round is whole; keeps what it was told."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def round_finished(self, entry: RoundRecord, rounds: int) -> None:
        if entry.round == self.number:
            raise KeyboardInterrupt


FEDERATED = [
    "experiment.arms=[federated]",
    "training.lr=0.01",
    "federation.rounds=4",
    "federation.fraction=0.67",
    "training.optimizer_state=keep",
    "aggregation=fedavgm",
    "aggregation.momentum=0.5",
]


def one_federated_run(study: Path) -> tuple[Path, str, bytes]:
    """Return the folder of a study's only run, its result but for times, and its counts as they lie on disk."""
    found = study / "arms" / "federated" / "seed-0-lr-0.01"
    text = re.sub(r'"(startup_)?seconds": [0-9.e-]+', "", (found / "result.json").read_text())
    return found, text, (found / "test_counts.safetensors").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[str, bytes]:
    """The result of such a run, and its counts."""
    study = compare(small(tmp_path_factory.mktemp("undisturbed"), *FEDERATED), "cmd", Silent())
    return one_federated_run(study)[1:]


def test_a_federated_run_of_a_comparison_goes_on_from_its_last_whole_round_to_the_same_bytes(tmp_path, undisturbed):
    config = small(tmp_path, "name=broken", *FEDERATED)
    with pytest.raises(KeyboardInterrupt):
        compare(config, "cmd", StopsAfterRound(2))
    again = StopsAfterRound()
    found, *resumed = one_federated_run(compare(config, "cmd", again))
    assert "resumes after round 2 of 4" in again.messages
    assert tuple(resumed) == undisturbed
    assert not {"checkpoints", "sites", "replies"} & {path.name for path in found.iterdir()}


def test_a_run_that_an_earlier_version_left_before_a_restart_of_the_machine_resumes_to_the_same_bytes(
    tmp_path, undisturbed
):
    config = small(tmp_path, "name=broken", *FEDERATED)
    with pytest.raises(KeyboardInterrupt):
        compare(config, "cmd", StopsAfterRound(2))
    sites = tmp_path / "broken" / "arms" / "federated" / "seed-0-lr-0.01" / "sites"
    (sites / "boot").write_text("another")
    for path in sites.glob("*/*.safetensors"):
        save_file(load_file(path), path)  # as it was written where nothing was flushed: without a digest
    again = StopsAfterRound()
    assert one_federated_run(compare(config, "cmd", again))[1:] == undisturbed
    assert "resumes after round 2 of 4" in again.messages


def test_a_run_that_lost_the_memory_of_its_sites_restarts_to_the_same_bytes(tmp_path, undisturbed):
    config = small(tmp_path, "name=broken", *FEDERATED)
    with pytest.raises(KeyboardInterrupt):
        compare(config, "cmd", StopsAfterRound(2))
    shutil.rmtree(tmp_path / "broken" / "arms" / "federated" / "seed-0-lr-0.01" / "sites")
    again = StopsAfterRound()
    assert one_federated_run(compare(config, "cmd", again))[1:] == undisturbed
    assert any(text.startswith("restarts: the folder with the sites' memory") for text in again.messages)


def test_the_best_learning_rate_on_dev_is_kept_for_the_other_seeds(tmp_path):
    grid = small(tmp_path, "experiment.lr_grid=[1e-9,0.01]", "experiment.seeds=[0,1]", "experiment.arms=[centralized]")
    content = metrics(compare(grid, "cmd", Silent()))
    assert content["arms"]["centralized"]["seeds"]["1"]["lr"] == 0.01
    assert set(content["tuning"]["centralized"]) == {"1e-09", "0.01"}


def test_patience_ends_every_arm_alike(tmp_path):
    # So small a rate changes nothing: the first round stays best, and two more are waited for.
    config = small(tmp_path, "training.lr=1e-12", "federation.rounds=6", "federation.patience=2")
    arms = metrics(compare(config, "cmd", Silent()))["arms"]
    runs = [arms["centralized"], arms["federated"], *arms["local"]["sites"].values()]
    assert [len(run["seeds"]["0"]["rounds"]) for run in runs] == [3] * 5


def test_another_configuration_under_the_same_name_is_refused(study):
    with pytest.raises(RunDirectoryError, match=r"federation.rounds was 4, now 3"):
        compare(small(study.parent, *STUDIED, "federation.rounds=3"), "cmd", Silent())


def test_a_setting_of_the_federated_arm_may_change_while_that_arm_has_no_run(tmp_path):
    study = compare(small(tmp_path, "experiment.arms=[centralized]"), "cmd", Silent())
    counts = Counts()
    both = ["experiment.arms=[centralized,federated]", "training.optimizer_state=reset"]
    compare(small(tmp_path, "aggregation=median", *both), "cmd", counts)
    assert counts.started == ["federated seed 0 lr 0.01"]
    with pytest.raises(RunDirectoryError, match=r"aggregation.kind was 'median'.*delete .*/arms/federated to redo"):
        compare(small(tmp_path, "aggregation=fedavg", *both), "cmd", Silent())
    shutil.rmtree(study / "arms" / "federated")
    compare(small(tmp_path, "aggregation=fedavg", *both), "cmd", Silent())
    assert metrics(study)["config"]["aggregation"]["kind"] == "fedavg"


def test_foreign_files_are_left_alone(tmp_path):
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "thesis.txt").write_text("mine")
    with pytest.raises(FednerError, match="holds files"):
        compare(small(tmp_path), "cmd", Silent())


def test_simulate_predict_and_evaluate_by_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", *SMALL, "name=run", "training.lr=0.01", "federation.rounds=4"]) == 0
    capsys.readouterr()
    (tmp_path / "text.txt").write_text("Anna takes aspirin.\n\nNothing here\n", encoding="utf-8")
    assert main(["predict", "runs/run/model", "text.txt"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["text"] for line in lines] == ["Anna takes aspirin.", "", "Nothing here"]
    for line in lines:
        assert all(line["text"][span["start"] : span["end"]] == span["text"] for span in line["spans"])
    (tmp_path / "gold.conll").write_text("Anna\tB-PATIENT\ntakes\tO\naspirin\tB-DRUG\n", encoding="utf-8")
    assert main(["evaluate", "runs/run/model", "gold.conll", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["score"]["micro"]["support"] == 2


def test_unseen_sites_are_scored_but_never_trained_on(tmp_path):
    for site, name in (("north", "Anna"), ("south", "Bert"), ("new", "Cleo")):
        (tmp_path / "in" / site).mkdir(parents=True)
        for split in ("train", "dev", "test"):
            text = "".join(f"{name}\tB-PER\nsleeps\tO\n\n" for _ in range(4))
            (tmp_path / "in" / site / f"{split}.conll").write_text(text)
    contract = tmp_path / "labels.yaml"
    contract.write_text("name: people\nversion: 1\ntypes:\n  PER: a person\n")
    config = composed(
        "name=unseen", f"output={tmp_path}", "data=sites", f"data.root={tmp_path / 'in'}", "data.unseen=[new]",
        f"data.contract_file={contract}", "partition=natural", "partition.by=site", "model=tiny_random",
        "federation.rounds=1", "experiment.arms=[centralized,federated]", "training.threads=1",
    )  # fmt: skip
    arms = metrics(compare(config, "cmd", Silent()))["arms"]
    for arm in ("centralized", "federated"):
        run = arms[arm]["seeds"]["0"]
        assert set(run["sites"]) == {"north", "south", "new"}
        assert run["test"]["micro"]["support"] == 8
