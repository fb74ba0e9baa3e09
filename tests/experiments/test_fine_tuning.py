"""The fine-tuned arm and the cross-site matrix of a whole comparison on generated text."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fedner.cli.compose import run_composed
from fedner.config import Config
from fedner.data.simulated_sites import load_sites
from fedner.errors import ConfigError, RunDirectoryError
from fedner.experiments import compare
from fedner.learning.inference import evaluate
from fedner.learning.tagger.tensors import set_state
from fedner.learning.workspace import workspace
from fedner.metrics import CrossSiteMatrix, score, total
from fedner.records.progress import Silent
from fedner.records.results import RunResult, run_from_json

BOTH = "experiment.arms=[federated,fine_tuned]"


def small(output: Path, *overrides: str) -> Config:
    found: list[Config] = []
    settings = [
        "experiment=smoke", "data.institutions=2", "data.train_documents=16", "data.dev_documents=6",
        "data.test_documents=8", "training.threads=1", "experiment.bootstrap_samples=100", "federation.rounds=2",
        f"output={output}", *overrides,
    ]  # fmt: skip
    run_composed("config", settings, found.append)
    return found[0]


def metrics(directory: Path) -> dict:
    return json.loads((directory / "report" / "metrics.json").read_text())


def federated(directory: Path, seed: int = 0) -> RunResult:
    return run_from_json(metrics(directory)["arms"]["federated"]["seeds"][str(seed)])


def fine_tuned(directory: Path, seed: int = 0) -> dict[str, RunResult]:
    sites = metrics(directory)["arms"]["fine_tuned"]["sites"]
    return {site: run_from_json(runs["seeds"][str(seed)]) for site, runs in sites.items()}


class Started(Silent):
    """Notes which runs begin, and interrupts at one."""

    def __init__(self, stop_at: str | None = None) -> None:
        self.titles: list[str] = []
        self.stop_at = stop_at

    def run_started(self, title: str) -> None:
        if self.stop_at is not None and title.startswith(self.stop_at):
            raise KeyboardInterrupt
        self.titles.append(title)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    arms = "experiment.arms=[fine_tuned,centralized,federated,local]"
    return compare(small(tmp_path_factory.mktemp("study"), arms, "experiment.seeds=[0,1]"), "cmd", Silent())


def test_every_site_starts_from_the_federated_state_of_the_same_seed(study):
    for seed in (0, 1):
        runs = fine_tuned(study, seed)
        assert {run.started_from for run in runs.values()} == {federated(study, seed).state_digest}
        assert len(runs) == 2
    assert federated(study, 0).state_digest != federated(study, 1).state_digest


def test_round_0_is_the_federated_model_on_the_sites_own_dev_text(study):
    config = small(study.parent)
    sites = load_sites(config.data, config.partition)
    bench = workspace(config.model, sites.corpus.contract)
    (path,) = (study / "arms" / "federated").glob("seed-0-*/best.safetensors")
    set_state(bench.tagger.model, load_file(path))
    for shard in sites.shards:
        counts = evaluate(bench.tagger, bench.encoded(shard.dev), config.training).document_counts
        first = fine_tuned(study)[shard.site].rounds[0]
        assert first.round == 0
        assert first.dev == score(total(counts), sites.corpus.contract)


def test_the_round_that_is_kept_is_the_best_on_dev_and_never_worse_than_the_federated_model(study):
    for run in fine_tuned(study).values():
        dev = {entry.round: entry.dev.micro.f1 for entry in run.rounds}
        assert list(dev) == [0, 1, 2]
        assert dev[run.best_round] == max(dev.values())


def test_its_examples_are_counted_apart_from_the_federations(study):
    # Two passes over the site's own text; the federation's two rounds passed over all sites' text twice.
    runs = fine_tuned(study)
    assert sum(run.examples_seen for run in runs.values()) == pytest.approx(federated(study).examples_seen, rel=0.05)


def test_the_gap_closed_is_still_that_of_the_three_arms(study):
    summary = metrics(study)["summary"]
    assert set(summary) == {"centralized", "federated", "local", "fine_tuned", "gap_closed"}
    local, pooled = summary["local"]["mean"], summary["centralized"]["mean"]
    assert pooled > local, "the fixture must have a gap, or this test says nothing"
    expected = (summary["federated"]["mean"] - local) / (pooled - local)
    assert summary["gap_closed"]["mean"] == pytest.approx(expected)


def test_the_difference_at_a_site_is_fine_tuned_minus_federated(study):
    for site, found in metrics(study)["differences"]["per_site_fine_tuned"].items():
        ours, theirs = (
            np.mean([run.sites[site].micro.f1 for run in runs])
            for runs in (
                [fine_tuned(study, seed)[site] for seed in (0, 1)],
                [federated(study, seed) for seed in (0, 1)],
            )
        )
        assert found["delta"] == pytest.approx(ours - theirs)
        assert found["low"] <= found["delta"] <= found["high"]


def test_the_matrix_has_every_model_on_every_sites_text(study):
    content = metrics(study)
    matrix = CrossSiteMatrix.from_json(content["matrix"])
    sites = list(content["arms"]["local"]["sites"])
    assert list(matrix.sites) == sites
    assert [(row.arm, row.site) for row in matrix.rows] == [
        ("centralized", ""), ("federated", ""), *(("local", site) for site in sites),
        *(("fine_tuned", site) for site in sites),
    ]  # fmt: skip
    for row in matrix.rows:
        arm = content["arms"][row.arm]
        runs = arm["sites"][row.site]["seeds"] if row.site else arm["seeds"]
        for site, cell in row.cells.items():
            assert cell.f1 == pytest.approx(np.mean([run["sites"][site]["micro"]["f1"] for run in runs.values()]))
        for seed, run in runs.items():
            counts = row.pooled.counts[int(seed)]
            told = run["test"]["micro"]
            assert (sum(counts.tp), sum(counts.fp), sum(counts.fn)) == (told["tp"], told["fp"], told["fn"])


def test_the_diagonal_of_the_matrix_is_what_the_report_says_of_each_site_alone(study):
    content = metrics(study)
    matrix = CrossSiteMatrix.from_json(content["matrix"])
    for row in (row for row in matrix.rows if row.arm == "local"):
        runs = content["arms"]["local"]["sites"][row.site]["seeds"].values()
        own = row.cells[row.site]
        assert own.f1 == pytest.approx(np.mean([run["sites"][row.site]["micro"]["f1"] for run in runs]))
        assert [own.low, own.high] == content["intervals"]["local"][row.site]["sites"][row.site]["micro"]


def test_where_nothing_is_learned_the_federated_model_is_kept_to_the_bit(tmp_path):
    # So small a rate moves no weight far enough to change a prediction.
    study = compare(small(tmp_path, BOTH, "federation.rounds=1", "experiment.lr_grid=[0.01,1e-12]"), "cmd", Silent())
    joined = federated(study)
    assert joined.lr == 0.01
    for site in fine_tuned(study):
        path = study / "arms" / "fine_tuned" / site / "seed-0-lr-1e-12" / "result.json"
        run = run_from_json(json.loads(path.read_text()))
        assert run.best_round == 0
        assert run.state_digest == run.started_from == joined.state_digest
        assert run.sites == joined.sites


def test_interrupted_it_goes_on_to_the_same_bytes_without_training_the_federation_again(tmp_path):
    whole = compare(small(tmp_path, BOTH, "name=whole"), "cmd", Silent())
    config = small(tmp_path, BOTH, "name=broken")
    sites = list(fine_tuned(whole))
    with pytest.raises(KeyboardInterrupt):
        compare(config, "cmd", Started(stop_at=f"fine_tuned/{sites[1]}"))
    assert metrics(tmp_path / "broken")["missing"] == [f"fine_tuned/{sites[1]} seed 0"]
    started = Started()
    broken = compare(config, "cmd", started)
    assert started.titles == [f"fine_tuned/{sites[1]} seed 0 lr 0.01"]
    before, after = fine_tuned(whole), fine_tuned(broken)
    assert {site: run.state_digest for site, run in before.items()} == {
        site: run.state_digest for site, run in after.items()
    }
    assert metrics(whole)["summary"] == metrics(broken)["summary"]


def test_added_to_a_finished_comparison_it_trains_the_federation_again_for_its_weights(tmp_path):
    study = compare(small(tmp_path, "experiment.arms=[centralized,federated]"), "cmd", Silent())
    assert not list(study.glob("arms/federated/*/best.safetensors"))
    before = federated(study).state_digest
    started = Started()
    compare(small(tmp_path, "experiment.arms=[centralized,federated,fine_tuned]"), "cmd", started)
    assert [title.split(" ")[0].split("/")[0] for title in started.titles] == ["federated", "fine_tuned", "fine_tuned"]
    assert federated(study).state_digest == before
    assert {run.started_from for run in fine_tuned(study).values()} == {before}


@pytest.fixture(scope="module")
def one_round(tmp_path_factory) -> Path:
    return compare(small(tmp_path_factory.mktemp("one_round"), BOTH, "federation.rounds=1"), "cmd", Silent())


@pytest.fixture
def copied(one_round, tmp_path) -> Path:
    """A finished comparison of one round that a test may change."""
    return Path(shutil.copytree(one_round, tmp_path / one_round.name))


def test_altered_weights_of_the_federation_are_refused(copied):
    config, study = small(copied.parent, BOTH, "federation.rounds=1"), copied
    (path,) = study.glob("arms/federated/*/best.safetensors")
    save_file({name: array + np.float32(1) for name, array in load_file(path).items()}, path)
    shutil.rmtree(study / "arms" / "fine_tuned")
    with pytest.raises(RunDirectoryError, match=r"best\.safetensors: expected the weights .* the file was altered"):
        compare(config, "cmd", Silent())


def test_another_federation_is_fine_tuned_anew(copied):
    study = copied
    before = {site: run.started_from for site, run in fine_tuned(study).items()}
    shutil.rmtree(study / "arms" / "federated")
    started = Started()
    compare(small(study.parent, BOTH, "federation.rounds=1", "aggregation=median"), "cmd", started)
    assert len(started.titles) == 3
    after = {site: run.started_from for site, run in fine_tuned(study).items()}
    assert set(after.values()) == {federated(study).state_digest}
    assert not set(before.values()) & set(after.values())


def test_its_budget_may_change_only_where_it_has_no_run(copied):
    study = copied
    more = small(study.parent, BOTH, "federation.rounds=1", "experiment.fine_tune_rounds=3")
    with pytest.raises(RunDirectoryError, match=r"fine_tune_rounds was 2, now 3.*delete .*/arms/fine_tuned to redo"):
        compare(more, "cmd", Silent())
    shutil.rmtree(study / "arms" / "fine_tuned")
    compare(more, "cmd", Silent())
    assert {run.rounds[-1].round for run in fine_tuned(study).values()} == {3}


def test_only_the_chosen_rates_weights_are_kept(tmp_path):
    study = compare(small(tmp_path, BOTH, "experiment.lr_grid=[1e-9,0.01]", "experiment.seeds=[0,1]"), "cmd", Silent())
    kept = sorted(str(path.parent.relative_to(study / "arms")) for path in study.rglob("best.safetensors"))
    assert kept == ["federated/seed-0-lr-0.01", "federated/seed-1-lr-0.01"]
    tuned = metrics(study)["tuning"]
    assert all(list(tuned[f"fine_tuned/{site}"]) == ["1e-09", "0.01"] for site in fine_tuned(study))


def test_it_is_refused_without_the_federation_that_it_starts_from(tmp_path):
    with pytest.raises(ConfigError, match="federated beside fine_tuned"):
        small(tmp_path, "experiment.arms=[local,fine_tuned]")
    with pytest.raises(ConfigError, match="fine_tune_rounds"):
        small(tmp_path, "experiment.fine_tune_rounds=0")
