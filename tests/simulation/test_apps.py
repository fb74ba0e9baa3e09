"""The two apps together, in process: real data, real training on a tiny model, real messages."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from scripted_grid import Clock, Deliver, ScriptedGrid, one_by_one, stop_clock

from fedner.config import Config, dumps, to_plain
from fedner.data.labels import contract_from_config
from fedner.data.simulated_sites import load_sites
from fedner.errors import ConfigError, FederationError, LabelError, QuorumError, RunDirectoryError
from fedner.learning.inference import evaluate
from fedner.learning.tagger.model import load_tagger
from fedner.learning.tagger.tensors import set_state
from fedner.learning.workspace import workspace
from fedner.metrics import Counts, score, total
from fedner.protocol import wire
from fedner.protocol.arrays import from_record, to_record
from fedner.protocol.messages import Header, TrainRequest
from fedner.records.results import RunOutcome
from fedner.records.run_directory import create_run, open_run
from fedner.refusals import Refusal
from fedner.server.coordinator import federate
from fedner.server.run_config import resumes, run_config
from fedner.simulation.grid import InlineRunner, LocalGrid, site_contexts
from fedner.simulation.running import run_in_process, run_of_study
from fedner.site import app as client_app
from fedner.tensors import digest

Change = Callable[[Message, int], Message]
SITES = ("alderbrook", "northquay", "stillwater")


def bent_app(change_train: Change | None = None, change_hello: Change | None = None) -> ClientApp:
    """Return the real ClientApp with some of its replies bent; the second argument is the site's number."""
    app = ClientApp()

    @app.query("hello")
    def hello(message: Message, context: Context) -> Message:
        reply = client_app.hello(message, context)
        return change_hello(reply, int(context.node_config["partition-id"])) if change_hello else reply

    @app.train()
    def train(message: Message, context: Context) -> Message:
        reply = client_app.train(message, context)
        return change_train(reply, int(context.node_config["partition-id"])) if change_train else reply

    @app.evaluate()
    def score_split(message: Message, context: Context) -> Message:
        return client_app.score_split(message, context)

    return app


def run_with(app: ClientApp, config: Config, path: Path) -> RunOutcome:
    contexts = site_contexts(3)
    run = create_run(path, config, contract_from_config(config.data.contract))
    with LocalGrid(InlineRunner(app, contexts), list(contexts)) as grid:
        return federate(config, grid, run)


def run_resumably(app: ClientApp, config: Config, path: Path) -> RunOutcome:
    contexts = site_contexts(3, path / "sites")
    run = create_run(path, config, contract_from_config(config.data.contract))
    with LocalGrid(InlineRunner(app, contexts), list(contexts)) as grid:
        return federate(config, grid, run)


def refused(path: Path) -> list[dict]:
    return [line for line in open_run(path).history() if line["event"] == "reply refused"]


@pytest.fixture(scope="module")
def outcome(small_config, tmp_path_factory) -> tuple[RunOutcome, Path]:
    path = tmp_path_factory.mktemp("runs") / "plain"
    return run_in_process(small_config(), path), path


def test_the_tiny_federation_learns(outcome):
    result = outcome[0].result
    assert result.rounds[-1].train_loss < result.rounds[0].train_loss
    assert result.test.micro.f1 > 0


def test_the_same_seed_gives_the_same_bytes(outcome, small_config, tmp_path: Path):
    again = run_in_process(small_config(), tmp_path / "again")
    assert digest(again.best_state) == digest(outcome[0].best_state)
    assert again.result.test == outcome[0].result.test
    for site, counts in again.test_counts.items():
        np.testing.assert_array_equal(counts, outcome[0].test_counts[site])


def test_another_seed_gives_other_bytes(outcome, small_config, tmp_path: Path):
    other = run_in_process(small_config(seed=1), tmp_path / "other")
    assert digest(other.best_state) != digest(outcome[0].best_state)


def test_test_scores_are_those_of_the_best_rounds_state(outcome, small_config):
    # Scored anew, without the federation: load the best state, evaluate every shard, add.
    config, best = small_config(), outcome[0].best_state
    sites = load_sites(config.data, config.partition)
    space = workspace(config.model, sites.corpus.contract)
    set_state(space.tagger.model, best)
    pooled = Counts.zero(5)
    for shard in sites.shards:
        counts = total(evaluate(space.tagger, space.encoded(shard.test), config.training).document_counts)
        assert outcome[0].result.sites[shard.site] == score(counts, sites.corpus.contract)
        pooled += counts
    assert outcome[0].result.test == score(pooled, sites.corpus.contract)


def test_the_best_round_is_the_one_with_the_best_pooled_dev_score(outcome):
    result = outcome[0].result
    dev = [entry.dev.micro.f1 for entry in result.rounds]
    assert result.best_round == dev.index(max(dev)) + 1
    assert result.state_digest == digest(outcome[0].best_state)


def test_history_tells_the_whole_story_in_order(outcome):
    events = [line["event"] for line in open_run(outcome[1]).history()]
    one_round = ["round started", *["reply accepted"] * 3, "round aggregated", "round evaluated"]
    assert events == ["run started", *["site joined"] * 3, *one_round, *one_round, "run finished"]


def test_a_rounds_bytes_are_those_of_its_tensors(outcome):
    size = sum(array.nbytes for array in outcome[0].best_state.values())
    entry = outcome[0].result.rounds[0]
    assert entry.bytes_up == 3 * size  # three sites train
    assert entry.bytes_down == 6 * size  # three train, three evaluate


def test_the_model_directory_holds_the_best_state(outcome):
    tagger = load_tagger(outcome[1] / "model")
    state = {name: tensor.detach().numpy() for name, tensor in tagger.model.named_parameters()}
    for name, array in outcome[0].best_state.items():
        np.testing.assert_array_equal(state[name], array)
    assert "Test micro F1" in (outcome[1] / "model" / "README.md").read_text(encoding="utf-8")


def test_the_saved_config_runs_again_to_the_same_bytes(outcome, tmp_path: Path):
    from fedner.records.run_directory import read_config

    again = run_in_process(read_config(outcome[1] / "config.yaml"), tmp_path / "again")
    assert again.result.state_digest == outcome[0].result.state_digest


def test_a_taken_directory_is_refused_before_anything_runs(outcome, small_config):
    with pytest.raises(RunDirectoryError, match="a run already"):
        run_in_process(small_config(), outcome[1])


def test_a_study_run_leaves_no_weights_behind_once_it_need_not_go_on(small_config, tmp_path: Path):
    run_of_study(small_config(rounds=1, training={"optimizer_state": "keep"}), tmp_path / "run")
    open_run(tmp_path / "run").drop_checkpoints()
    assert list((tmp_path / "run").rglob("*.safetensors")) == []


def test_sampling_asks_a_seeded_share_and_evaluates_everywhere(small_config, tmp_path: Path):
    config = small_config(fraction=0.67, rounds=3)
    outcome = run_in_process(config, tmp_path / "run")
    again = run_in_process(config, tmp_path / "again")
    assert [entry.sites for entry in outcome.result.rounds] == [entry.sites for entry in again.result.rounds]
    assert all(len(entry.sites) == 2 for entry in outcome.result.rounds)
    assert len({entry.sites for entry in outcome.result.rounds}) > 1
    assert set(outcome.result.sites) == set(SITES)


def test_a_site_that_raises_is_refused_by_name_and_the_round_goes_on(small_config, tmp_path: Path):
    def break_second(reply: Message, number: int) -> Message:
        if number == 1:
            raise RuntimeError("Mr Smith has diabetes")
        return reply

    outcome = run_with(bent_app(break_second), small_config(min_sites=2), tmp_path / "run")
    assert outcome.result.rounds[0].sites == ("alderbrook", "stillwater")
    assert set(outcome.result.rounds[0].refused) == {"northquay"}
    assert [line["site"] for line in refused(tmp_path / "run")] == ["northquay", "northquay"]
    assert "Smith" not in (tmp_path / "run" / "history.jsonl").read_text(encoding="utf-8")


def test_too_few_usable_replies_end_the_run_with_names_and_reasons(small_config, tmp_path: Path):
    def break_all(reply: Message, number: int) -> Message:
        raise RuntimeError

    with pytest.raises(
        FederationError, match=r"round 1: expected at least 1 usable.*alderbrook.*northquay.*stillwater"
    ):
        run_with(bent_app(break_all), small_config(), tmp_path / "run")


def fails_at(number: int, calls: set[int]) -> Change:
    """Let a site raise at some of its training requests, counted from 1."""
    seen = 0

    def change(reply: Message, site: int) -> Message:
        nonlocal seen
        if site == number:
            seen += 1
            if seen in calls:
                raise RuntimeError
        return reply

    return change


def test_a_round_without_a_quorum_is_skipped_and_changes_nothing(small_config, tmp_path: Path):
    config = small_config(rounds=4, mandatory=["northquay"], missed_quorum="skip")
    outcome = run_with(bent_app(fails_at(1, {2})), config, tmp_path / "run")
    rounds = outcome.result.rounds
    assert [len(entry.sites) for entry in rounds] == [3, 0, 3, 3]
    assert rounds[1].dev is None
    assert set(rounds[1].refused) == {"northquay"}
    history = open_run(tmp_path / "run").history()
    assert [line["then"] for line in history if line["event"] == "quorum missed"] == ["skip"]
    assert [line["round"] for line in history if line["event"] == "round aggregated"] == [1, 3, 4]


def test_a_round_without_a_quorum_is_retried_to_the_result_of_an_undisturbed_run(small_config, tmp_path: Path):
    config = small_config(mandatory=["northquay"], missed_quorum="retry", training={"optimizer_state": "keep"})
    outcome = run_resumably(bent_app(fails_at(1, {2, 3})), config, tmp_path / "run")
    undisturbed = run_in_process(config, tmp_path / "undisturbed")
    assert outcome.result.state_digest == undisturbed.result.state_digest
    history = open_run(tmp_path / "run").history()
    assert [line["then"] for line in history if line["event"] == "quorum missed"] == ["retry", "retry"]


def test_retries_end_and_the_run_stops_with_what_was_missing(small_config, tmp_path: Path):
    config = small_config(min_share=1.0, missed_quorum="retry", retries=2)
    with pytest.raises(QuorumError, match=r"round 2: expected 100% of all training sentences"):
        run_with(bent_app(fails_at(1, {2, 3, 4})), config, tmp_path / "run")
    history = open_run(tmp_path / "run").history()
    assert [line["then"] for line in history if line["event"] == "quorum missed"] == ["retry", "retry", "stop"]


def test_a_run_of_skipped_rounds_only_has_nothing_to_test(small_config, tmp_path: Path):
    config = small_config(min_share=1.0, missed_quorum="skip")
    with pytest.raises(FederationError, match="none of 2 rounds had a quorum"):
        run_with(bent_app(fails_at(1, {1, 2})), config, tmp_path / "run")


def run_real(pass_on: Deliver, config: Config, path: Path) -> RunOutcome:
    """Run with sites that pass for processes of their own; their answers can be held back, repeated or sent later."""
    run, contexts = create_run(path, config, contract_from_config(config.data.contract)), site_contexts(3)
    deliver = one_by_one(client_app.app, contexts)
    return federate(config, ScriptedGrid(lambda requests: pass_on(deliver(requests)), contexts), run)


def asked_of(reply: Message) -> tuple[str, int]:
    return reply.metadata.message_type, reply.metadata.src_node_id


def ignored(path: Path) -> list[dict]:
    return [line for line in open_run(path).history() if line["event"] == "reply ignored"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return stop_clock(monkeypatch)


def test_the_deadline_ends_a_phase_and_names_who_was_silent(small_config, tmp_path: Path, clock: Clock):
    config = small_config(rounds=1, min_sites=3, missed_quorum="skip", deadline_seconds=60, grace_seconds=20)
    with pytest.raises(FederationError, match="none of 1 rounds"):
        run_real(lambda replies: [each for each in replies if asked_of(each) != ("train", 3)], config, tmp_path / "run")
    reasons = [line["reason"] for line in refused(tmp_path / "run") if line["site"] == "northquay"]
    assert 80 < clock.now < 82
    assert reasons == ["silent: no reply within 60 s (federation.deadline_seconds and federation.grace_seconds)"]


def test_a_reply_that_comes_twice_counts_once(small_config, tmp_path: Path):
    kept: list[Message] = []

    def twice_and_again(replies: list[Message]) -> list[Message]:
        old, kept[:] = kept[:], [each for each in replies if asked_of(each)[0] != wire.HELLO]
        return [*replies, *replies, *old]  # twice in one pull, and once more in the next

    outcome = run_real(twice_and_again, small_config(), tmp_path / "run")
    undisturbed = run_in_process(small_config(), tmp_path / "undisturbed")
    assert outcome.result.state_digest == undisturbed.result.state_digest
    assert outcome.result.test == undisturbed.result.test
    assert refused(tmp_path / "run") == []
    told = ignored(tmp_path / "run")
    assert {line["reason"] for line in told} == {"twice: the site had answered already"}
    assert {(line["site"], line["phase"]) for line in told} == {(s, p) for s in SITES for p in ("train", "dev", "test")}


def test_a_reply_after_the_deadline_is_told_and_changes_nothing(small_config, tmp_path: Path, clock: Clock):
    held: list[Message] = []

    def hold_first_round(replies: list[Message]) -> list[Message]:
        late = [each for each in replies if asked_of(each) == ("train", 3) and not held]
        held.extend(late)
        out = [each for each in replies if each not in late]
        return [*out, held[0]] if held and any(asked_of(each)[0] == "evaluate" for each in out) else out

    config = small_config(straggler_seconds=0.0, min_sites=2)
    outcome = run_real(hold_first_round, config, tmp_path / "run")
    assert outcome.result.rounds[0].sites == ("alderbrook", "stillwater")
    assert outcome.result.rounds[1].sites == SITES
    (first, *_) = ignored(tmp_path / "run")
    assert (first["round"], first["phase"], first["site"]) == (1, "train", "northquay")
    assert first["reason"].startswith("late: it came after")


def test_a_reply_of_an_earlier_round_is_refused(small_config, tmp_path: Path):
    contexts = site_contexts(3)
    config = small_config()
    run = create_run(tmp_path / "run", config, contract_from_config(config.data.contract))
    with LocalGrid(InlineRunner(replaying(), contexts), list(contexts)) as grid:
        outcome = federate(config, grid, run)
    assert outcome.result.rounds[1].sites == ("alderbrook", "stillwater")
    assert [line["reason"] for line in refused(tmp_path / "run")] == [
        "federation: expected a reply of round 2, got one of round 1"
    ]


def replaying() -> ClientApp:
    """Return the real ClientApp, but northquay sends its first training reply in every round."""
    app, kept = bent_app(), {}

    class Replaying(ClientApp):
        def __call__(self, message: Message, context: Context) -> Message:
            if message.metadata.message_type != "train" or context.node_config["partition-id"] != 1:
                return app(message, context)
            if "content" not in kept:
                kept["content"] = app(message, context).content
            return Message(kept["content"], reply_to=message)

    return Replaying()


def test_a_spare_steps_in_where_a_reply_does_not_count_and_every_run_is_the_same(small_config, tmp_path: Path):
    config = small_config(fraction=0.34, spares=2, rounds=3, training={"optimizer_state": "keep"})
    outcome = run_with(bent_app(fails_at(0, {1, 2, 3})), config, tmp_path / "run")
    again = run_with(bent_app(fails_at(0, {1, 2, 3})), config, tmp_path / "again")
    assert again.result.state_digest == outcome.result.state_digest
    assert all(len(entry.sites) == 1 for entry in outcome.result.rounds)
    started = [line for line in open_run(tmp_path / "run").history() if line["event"] == "round started"]
    for entry, line in zip(outcome.result.rounds, started, strict=True):
        steps_in = "alderbrook" in line["sites"]
        wanted = next(site for site in [*line["sites"], *line["spares"]] if site != "alderbrook")
        assert (set(entry.refused), entry.sites) == ({"alderbrook"} if steps_in else set(), (wanted,))


def test_spares_that_nobody_needs_change_no_byte(outcome, small_config, tmp_path: Path):
    plain = run_in_process(small_config(fraction=0.67), tmp_path / "plain")
    spare = run_in_process(small_config(fraction=0.67, spares=1), tmp_path / "spare")
    assert spare.result.state_digest == plain.result.state_digest


def test_of_real_sites_the_first_to_answer_count_and_the_others_are_let_go(small_config, tmp_path: Path):
    # Sites here answer in the order of their names, so that stillwater is never waited for.
    outcome = run_real(lambda replies: replies, small_config(fraction=0.67, spares=1), tmp_path / "run")
    assert [entry.sites for entry in outcome.result.rounds] == [("alderbrook", "northquay")] * 2
    assert {line["reason"] for line in refused(tmp_path / "run")} == {
        "spare: enough other sites were faster (federation.spares)"
    }


def test_a_nan_reply_is_refused_and_leaves_no_trace_in_the_state(small_config, tmp_path: Path):
    def poison_first(reply: Message, number: int) -> Message:
        if number == 0:
            arrays = {name: array.copy() for name, array in from_record(reply.content.array_records["arrays"]).items()}
            next(iter(arrays.values())).reshape(-1)[0] = np.nan
            reply.content["arrays"] = to_record(arrays)
        return reply

    outcome = run_with(bent_app(poison_first), small_config(), tmp_path / "run")
    assert {line["site"] for line in refused(tmp_path / "run")} == {"alderbrook"}
    assert "is not finite" in refused(tmp_path / "run")[0]["reason"]
    assert all(np.isfinite(array).all() for array in outcome.best_state.values())


def test_a_site_that_sends_garbage_is_refused_then_suspended_and_spoils_nothing(small_config, tmp_path: Path):
    chance = np.random.default_rng(0)

    def garbage(reply: Message, number: int) -> Message:
        if number == 1:
            arrays = from_record(reply.content.array_records["arrays"])
            noise = {name: chance.normal(size=array.shape).astype(np.float32) for name, array in arrays.items()}
            reply.content["arrays"] = to_record(noise)
        return reply

    def absent(reply: Message, number: int) -> Message:
        if number == 1:
            raise RuntimeError
        return reply

    config = small_config(rounds=5, training={"lr": 0.002})
    outcome = run_with(bent_app(garbage), config, tmp_path / "garbage")
    without = run_with(bent_app(absent), config, tmp_path / "without")
    assert outcome.result.state_digest == without.result.state_digest
    assert outcome.result.test == without.result.test
    reasons = [line["reason"] for line in refused(tmp_path / "garbage")]
    assert len(reasons) == 3
    assert all(reason.startswith("implausible: expected an update of norm") for reason in reasons)
    history = open_run(tmp_path / "garbage").history()
    told = [(line["round"], line["site"]) for line in history if line["event"] == "site suspended"]
    assert told == [(4, "northquay")]
    asked = [line["sites"] for line in history if line["event"] == "round started"]
    assert [len(sites) for sites in asked] == [3, 3, 3, 2, 2]


def forged(code: str, number: int) -> Change:
    """Return a change of one site's replies into refusals with a code of its choice."""

    def change(reply: Message, site: int) -> Message:
        if site == number:
            failure = ConfigRecord({"code": code, "sentence": "no reply within 5 s"})
            reply.content = RecordDict({"failure": failure})
        return reply

    return change


@pytest.mark.parametrize("code", ["silent", "spare", "flower-3"])
def test_a_site_that_forges_a_code_of_silence_is_suspended_like_any_other(code: str, small_config, tmp_path: Path):
    outcome = run_with(bent_app(forged(code, 1)), small_config(rounds=5), tmp_path / "run")
    lines = refused(tmp_path / "run")
    assert [(line["site"], line["origin"], line["code"]) for line in lines] == [("northquay", "site", "other")] * 3
    history = open_run(tmp_path / "run").history()
    assert [line["round"] for line in history if line["event"] == "site suspended"] == [4]
    evaluated = [line for line in history if line["event"] == "round evaluated"]
    assert all(line["missing"] == {} for line in evaluated)  # it did answer
    assert [set(line["refused"]) for line in evaluated] == [{"northquay"}] * 3 + [set()] * 2
    assert [entry.sites for entry in outcome.result.rounds] == [("alderbrook", "stillwater")] * 5


def test_a_site_that_forges_a_lost_node_in_its_hello_is_greeted_once(small_config, tmp_path: Path):
    greeted: list[int] = []

    def forge(reply: Message, number: int) -> Message:
        greeted.append(number)
        return forged("flower-3", 1)(reply, number)

    with pytest.raises(FederationError, match="a site cannot take part: other: no reply"):
        run_with(bent_app(change_hello=forge), small_config(), tmp_path / "run")
    assert greeted.count(1) == 1


def test_a_site_that_sends_a_control_variate_of_garbage_is_refused(small_config, tmp_path: Path):
    def garbage(reply: Message, number: int) -> Message:
        if number == 1:
            control = from_record(reply.content.array_records["auxiliary.control"])
            reply.content["auxiliary.control"] = to_record(
                {name: np.full_like(array, 0.1) for name, array in control.items()}
            )
        return reply

    run_with(bent_app(garbage), small_config(training={"scaffold": True}), tmp_path / "run")
    assert {line["site"] for line in refused(tmp_path / "run")} == {"northquay"}
    assert "expected a control variate changed by 2.02 or less" in refused(tmp_path / "run")[0]["reason"]


def test_a_site_that_claims_ten_times_its_sentences_is_refused(small_config, tmp_path: Path):
    def boast(reply: Message, number: int) -> Message:
        if number == 0:
            metrics = reply.content.metric_records["metrics"]
            metrics["num-examples"] = 10 * int(str(metrics["num-examples"]))
        return reply

    outcome = run_with(bent_app(boast), small_config(), tmp_path / "run")
    assert {line["site"] for line in refused(tmp_path / "run")} == {"alderbrook"}
    assert "sentences of this site in a round" in refused(tmp_path / "run")[0]["reason"]
    assert outcome.result.rounds[0].sites == ("northquay", "stillwater")


@pytest.mark.parametrize("training", [{"epochs": 0.7}, {"epochs": 2.5}, {"steps": 3}])
def test_honest_sites_stay_within_the_limits(training: dict, small_config, tmp_path: Path):
    run_in_process(small_config(rounds=4, training=training), tmp_path / "run")
    assert refused(tmp_path / "run") == []


def test_a_reply_of_another_contract_is_refused(small_config, tmp_path: Path):
    def claim_other(reply: Message, number: int) -> Message:
        if number == 2:
            reply.content.config_records["config"]["contract"] = "f" * 64
        return reply

    run_with(bent_app(claim_other), small_config(), tmp_path / "run")
    assert refused(tmp_path / "run")[0]["reason"].startswith("labels: label contract ffffffffffff is not")


def test_a_site_with_another_contract_is_refused_with_the_difference_before_training(small_config, tmp_path: Path):
    def rename_type(reply: Message, number: int) -> Message:
        if number == 1:
            types = reply.content.config_records["config"]["contract-types"]
            reply.content.config_records["config"]["contract-types"] = ["PERSON", *types[1:]]
        return reply

    with pytest.raises(LabelError, match=r"site 'northquay'(.|\n)*only in ours: PATIENT(.|\n)*only in theirs: PERSON"):
        run_with(bent_app(change_hello=rename_type), small_config(), tmp_path / "run")
    assert [line["event"] for line in open_run(tmp_path / "run").history()] == ["run started"]


def test_two_sites_of_one_name_are_refused(small_config, tmp_path: Path):
    def rename(reply: Message, number: int) -> Message:
        reply.content.config_records["config"]["site"] = "north"
        return reply

    with pytest.raises(FederationError, match="two nodes call themselves 'north'"):
        run_with(bent_app(change_hello=rename), small_config(), tmp_path / "run")


def test_more_nodes_than_sites_are_told_how_to_mend_it(small_config, tmp_path: Path):
    contexts = site_contexts(4)
    config = small_config()
    run = create_run(tmp_path / "run", config, contract_from_config(config.data.contract))
    with (
        LocalGrid(InlineRunner(client_app.app, contexts), list(contexts)) as grid,
        pytest.raises(FederationError, match=r"makes 3 sites, but 4 nodes were started.*num-supernodes=3"),
    ):
        federate(config, grid, run)


def test_missing_sites_are_waited_for_and_then_told(small_config, tmp_path: Path, clock: Clock):
    contexts = site_contexts(3)
    config = small_config(wait_seconds=60)
    run = create_run(tmp_path / "run", config, contract_from_config(config.data.contract))
    with (
        LocalGrid(InlineRunner(client_app.app, contexts), list(contexts)[:2]) as grid,
        pytest.raises(FederationError, match=r"expected 3 sites within 60 s.*got 2: alderbrook, northquay;"),
    ):
        federate(config, grid, run)


def test_a_request_for_another_contract_is_not_trained_on(small_config):
    config = small_config()
    header = Header(run="r", round=1, seed=0, contract="0" * 64)
    space = workspace(config.model, contract_from_config(config.data.contract))
    request = TrainRequest(header=header, config=dumps(config), state="5" * 64, arrays=space.initial_state(0))
    reply = client_app.train(Message(wire.train_request(request), 2, "train"), site_contexts(3)[2])
    told = wire.read_train_reply(reply)
    assert isinstance(told, Refusal)
    assert told.code == "federation"


def test_an_input_error_leaves_the_site_as_a_safe_sentence_only(small_config, tmp_path: Path):
    plain = to_plain(small_config())
    plain["data"] = {"kind": "files", "train": ["/home/smith/patients.conll"], "contract": plain["data"]["contract"]}
    header = Header(run="r", round=0, seed=0, contract="0" * 64)
    from fedner.config import from_plain
    from fedner.protocol.messages import HelloRequest

    request = HelloRequest(header=header, config=dumps(from_plain(plain)))
    reply = client_app.hello(Message(wire.hello_request(request), 2, wire.HELLO), site_contexts(3)[2])
    told = wire.read_hello_reply(reply)
    assert told == Refusal("data", "the site's text cannot be read")


def test_kept_moments_change_the_result_and_survive_between_rounds(outcome, small_config, tmp_path: Path):
    kept = run_in_process(small_config(training={"optimizer_state": "keep"}), tmp_path / "kept")
    # The first round starts without moments either way; the second differs only if they were kept.
    first = [line for line in open_run(tmp_path / "kept").history() if line["event"] == "round aggregated"]
    plain = [line for line in open_run(outcome[1]).history() if line["event"] == "round aggregated"]
    assert first[0]["state"] == plain[0]["state"]
    assert first[1]["state"] != plain[1]["state"]
    assert kept.result.rounds[0].train_loss == outcome[0].result.rounds[0].train_loss


def test_public_dev_is_scored_at_the_server_each_round(small_config, tmp_path: Path):
    public = tmp_path / "public.conll"
    public.write_text("Amoxil B-DRUG\n500 B-DOSE\nmg I-DOSE\n\nwas O\ngiven O\n", encoding="utf-8")
    outcome = run_in_process(small_config(public_dev=[str(public)]), tmp_path / "run")
    for entry in outcome.result.rounds:
        assert entry.public_dev is not None
        assert entry.public_dev.micro.support == 2  # one drug, one dose


def test_run_config_without_config_says_how_to_pass_it():
    with pytest.raises(ConfigError, match=r"got none; pass --run-config"):
        run_config("", "")


def test_run_config_sees_relative_paths_from_the_given_folder(small_config, tmp_path: Path):
    assert run_config(dumps(small_config()), str(tmp_path)).output == str(tmp_path / "runs")
    with pytest.raises(ConfigError, match="absolute path under `folder`"):
        run_config(dumps(small_config()), "here")


def test_only_a_named_run_can_be_gone_on_with(small_config):
    config = small_config()
    assert not resumes(False, config)
    with pytest.raises(ConfigError, match="wants the run's name"):
        resumes(True, config)
    with pytest.raises(ConfigError, match="expected true or false under `resume`, got 'yes'"):
        resumes("yes", config)
    config.name = "mine"
    assert resumes(True, config)


def test_weights_follow_the_configured_weighting(small_config, tmp_path: Path):
    config = small_config(weighting="uniform", rounds=1)
    run_in_process(config, tmp_path / "run")
    weights = [line["weight"] for line in open_run(tmp_path / "run").history() if line["event"] == "reply accepted"]
    assert weights == [1.0, 1.0, 1.0]
