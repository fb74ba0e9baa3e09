"""Tensors that stay at the sites: never sent, kept from round to round, in place when a state is scored."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from fedner.config import Config, from_plain, to_plain
from fedner.data.labels import contract_from_config
from fedner.data.simulated_sites import load_sites
from fedner.errors import ConfigError, StateError
from fedner.learning.inference import evaluate
from fedner.learning.tagger.model import load_tagger
from fedner.learning.workspace import workspace
from fedner.metrics import score, total
from fedner.protocol.messages import Header
from fedner.records.progress import Silent
from fedner.records.results import RoundRecord
from fedner.records.run_directory import create_run
from fedner.release.saving import save_site_model
from fedner.server.coordinator import federate
from fedner.simulation.grid import InlineRunner, LocalGrid, site_contexts
from fedner.simulation.running import resume_in_process, run_in_process
from fedner.site import app as client_app
from fedner.site.memory import PERSONAL, memory_of
from fedner.tensors import digest

SITES = ("alderbrook", "northquay", "stillwater")


@pytest.fixture(scope="module")
def config(small_config: Any) -> Config:
    return personal(small_config(rounds=3), ["classifier"])


def personal(config: Config, patterns: list[str]) -> Config:
    plain = to_plain(config)
    return from_plain({**plain, "model": {**plain["model"], "personal": patterns}})


@pytest.fixture(scope="module")
def played(config: Config, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    path = tmp_path_factory.mktemp("runs") / "run"
    return run_in_process(config, path), path


def test_a_personal_head_is_never_sent(config: Config, tmp_path: Path) -> None:
    seen: list[set[str]] = []
    app = ClientApp()

    @app.query("hello")
    def hello(message: Message, context: Context) -> Message:
        return client_app.hello(message, context)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        reply = client_app.train(message, context)
        seen.extend(set(each.content.array_records["arrays"]) for each in (message, reply))
        return reply

    @app.evaluate()
    def score_split(message: Message, context: Context) -> Message:
        seen.append(set(message.content.array_records["arrays"]))
        return client_app.score_split(message, context)

    contexts = site_contexts(3)
    run = create_run(tmp_path / "run", config, contract_from_config(config.data.contract))
    with LocalGrid(InlineRunner(app, contexts), list(contexts)) as grid:
        outcome = federate(config, grid, run)
    assert len(seen) == 3 * (3 + 3 + 3) + 3  # rounds of three requests, replies and scorings, and the final test
    assert all(not any(name.startswith("classifier") for name in names) for names in seen)
    assert not any(name.startswith("classifier") for name in outcome.best_state)


def test_each_sites_model_scores_what_the_run_says(played: tuple[Any, Path], config: Config) -> None:
    outcome, path = played
    sites = load_sites(config.data, config.partition)
    heads: set[bytes] = set()
    for index, shard in enumerate(sites.shards):
        tagger = load_tagger(path / "sites" / str(index) / "model")
        encoded = workspace(config.model, sites.corpus.contract).encoded(shard.test)
        counts = total(evaluate(tagger, encoded, config.training).document_counts)
        assert score(counts, sites.corpus.contract) == outcome.result.sites[shard.site]
        heads.add(tagger.model.classifier.weight.detach().numpy().tobytes())
    assert len(heads) == 3
    assert not (path / "model").exists()


def test_a_full_disk_is_told_without_a_path_where_a_site_writes_its_model(
    config: Config, tmp_path: Path, full_disk: Any
) -> None:
    tagger = workspace(config.model, contract_from_config(config.data.contract)).tagger
    with full_disk(4096), pytest.raises(StateError, match="own model cannot be written") as told:
        save_site_model(tagger, config, "northquay", tmp_path / "model")
    assert "File too large" in str(told.value)
    assert str(tmp_path) not in str(told.value)


def test_without_a_folder_the_sites_remember_just_as_well(
    played: tuple[Any, Path], config: Config, tmp_path: Path
) -> None:
    contexts = site_contexts(3)
    run = create_run(tmp_path / "run", config, contract_from_config(config.data.contract))
    with LocalGrid(InlineRunner(client_app.app, contexts), list(contexts)) as grid:
        outcome = federate(config, grid, run)
    assert outcome.result.state_digest == played[0].result.state_digest
    assert outcome.result.sites == played[0].result.sites


@pytest.mark.parametrize("on_disk", [False, True])
def test_what_is_personal_of_the_best_round_is_kept_and_of_others_is_not(on_disk: bool, tmp_path: Path) -> None:
    context = site_contexts(3, tmp_path if on_disk else None)[2]
    memory = memory_of(context, Header(run="run", round=0, seed=0, contract=""))
    for number in (1, 2, 3, 4):
        memory.keep(PERSONAL, number, {"w": np.array([number], np.float32)}, [1])
    kept = [memory.before(PERSONAL, number + 1) for number in (0, 1, 2, 3, 4, 9)]
    assert kept[0] is None
    # On disk one more round stays, for a server that falls back by one.
    assert [float(state["w"][0]) for state in kept[1:] if state] == [1, 2 if on_disk else 1, 3, 4, 4]


class StopsAfterRound(Silent):
    def __init__(self, number: int) -> None:
        self.number = number

    def round_finished(self, entry: RoundRecord, rounds: int) -> None:
        if entry.round == self.number:
            raise KeyboardInterrupt


@pytest.mark.parametrize("patterns", [["classifier"], ["*LayerNorm*"]])
def test_a_stopped_run_goes_on_with_the_sites_own_tensors(
    patterns: list[str], small_config: Any, tmp_path: Path
) -> None:
    config = personal(small_config(rounds=3, fraction=0.67, training={"scaffold": True}), patterns)
    whole = run_in_process(config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run_in_process(config, tmp_path / "run", StopsAfterRound(2))
    again = resume_in_process(config, tmp_path / "run")
    assert again.result.state_digest == whole.result.state_digest
    assert again.result.sites == whole.result.sites
    models = [path / "sites" / "1" / "model" / "model.safetensors" for path in (tmp_path / "whole", tmp_path / "run")]
    assert models[0].read_bytes() == models[1].read_bytes()


def test_keeping_something_back_changes_what_is_learned(
    played: tuple[Any, Path], small_config: Any, tmp_path: Path
) -> None:
    shared = run_in_process(small_config(rounds=3), tmp_path / "shared")
    for name, array in played[0].best_state.items():
        if digest({name: array}) != digest({name: shared.best_state[name]}):
            return
    pytest.fail("the encoder learned the same with personal heads as with a shared one")


@pytest.mark.parametrize(
    ("patterns", "told"),
    [(["clasifier"], r"model\.personal: 'clasifier' fits no trained tensor"), (["*"], "takes in every trained tensor")],
)
def test_patterns_that_make_no_sense_are_refused(
    patterns: list[str], told: str, small_config: Any, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=told):
        run_in_process(personal(small_config(), patterns), tmp_path / "run")


def test_no_public_text_can_be_scored_with_what_only_sites_have(small_config: Any) -> None:
    with pytest.raises(ConfigError, match=r"model\.personal"):
        personal(small_config(public_dev=["public.conll"]), ["classifier"])
