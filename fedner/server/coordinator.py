"""The coordinator: one visible loop over Flower's Grid. Request, validate, aggregate, evaluate, record, keep the best.

`federate` is the whole federation; it is the same in process, on Ray and in a deployment. The ServerApp below it only
reads the run config and chooses the run directory.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fedner.audit.trail import Trail
from fedner.config import Config, MissedQuorum, TrackingConfig, dumps
from fedner.config.paths import new_run_path
from fedner.data.labels import LabelContract, contract_from_config
from fedner.data.loading import load_files
from fedner.errors import FederationError, QuorumError
from fedner.flower.polling import look_again_soon
from fedner.learning.inference import evaluate
from fedner.learning.tagger.tensors import set_state
from fedner.learning.workspace import Workspace, workspace
from fedner.metrics import Score, contributions, score, total
from fedner.protocol.messages import Header, HelloRequest
from fedner.protocol.phases import DEV, TEST
from fedner.records.events import (
    QuorumMissed,
    RoundEvaluated,
    RoundStarted,
    RunResumed,
    RunStarted,
    SiteSuspended,
    round_evaluated,
    run_finished,
)
from fedner.records.progress import Progress, Silent
from fedner.records.recording import report_with_trail
from fedner.records.results import RoundRecord, RunOutcome, RunResult, save_run
from fedner.records.run_directory import RunDirectory, create_run, lock_run, resume_run
from fedner.records.stopping import should_stop
from fedner.release.saving import save_model
from fedner.server import aggregation
from fedner.server.checkpoints import Checkpoint, latest_checkpoint, load_best, save_checkpoint
from fedner.server.evaluation_phase import evaluate_sites
from fedner.server.flower_log import FlowerLog
from fedner.server.membership import Members, joined
from fedner.server.participation import draw_spares, sample_sites, suspended
from fedner.server.requests import RequestChannel
from fedner.server.run_config import registered_nodes, resumes, run_config
from fedner.server.session import Federation
from fedner.server.training_phase import Participants, TrainedRound, train_round
from fedner.tensors import State, digest, num_bytes
from fedner.tracking import followed, require_extras

app = ServerApp()


def federate(
    config: Config,
    grid: Grid,
    run: RunDirectory,
    progress: Progress | None = None,
    trail: Trail | None = None,
    registered: Mapping[int, str] | None = None,
) -> RunOutcome:
    """Run one federation from the handshake to the final test, or resume it from the last whole round in its directory.

    Args:
        config: the resolved config; paths in it must mean the same to the sites.
        grid: Flower's connection to the sites.
        run: where history and checkpoints go; from `create_run` or `resume_run`.
        progress: receives rounds and refusals.
        trail: the server's audit trail; None keeps none.
        registered: as `Members` wants it.

    Raises:
        InputError: the config, the contract or the model is at fault, or a site holds another contract.
        FederationError: too few sites, or too few usable replies in a round.
    """
    started = time.monotonic()
    with followed(config, run, progress or Silent()) as tracked:
        federation = _open(config, grid, tracked, progress or Silent(), trail, registered)
        return _federate(federation, started)


def _federate(federation: Federation, started: float) -> RunOutcome:
    config, run = federation.config, federation.run
    server = workspace(config.model, federation.contract)
    at = _newest_checkpoint(federation, server)
    startup_seconds = time.monotonic() - started
    began = started - sum(entry.seconds for entry in at.rounds)
    while at.round < config.federation.rounds and not should_stop(at.rounds, config.federation.patience):
        at = _run_round(federation, server, at)
        save_checkpoint(run.checkpoints_path, at)
        _report_round(federation, at)
    return _final_test(federation, at, began, startup_seconds)


def _newest_checkpoint(federation: Federation, server: Workspace) -> Checkpoint:
    """Return the newest checkpoint of a resumed run, or the initial state."""
    config, run = federation.config, federation.run
    found, damaged = latest_checkpoint(run.checkpoints_path)
    if found is None:
        initial = server.initial_state(config.seed)
        arrays = {name: array for name, array in initial.items() if name not in server.tagger.personal}
        memory = aggregation.init(config.aggregation, arrays, config.training.scaffold)
        contract = federation.contract.digest
        found = Checkpoint(
            contract=contract, rounds=(), examples=0, state=arrays, state_digest=digest(arrays), memory=memory
        )
    if run.resumed:
        for reason in damaged:
            federation.progress.message(f"a newer checkpoint is passed over: {reason}")
        federation.progress.message(f"resumes after round {found.round} of {config.federation.rounds}")
        run.record(
            RunResumed(
                round=found.round, rounds=config.federation.rounds, state=found.state_digest, damaged=tuple(damaged)
            )
        )
        if found.rounds and not _was_reported(run, found.round):
            _report_round(federation, found)
    return found


def _was_reported(run: RunDirectory, number: int) -> bool:
    """Return whether the history has a round's last line; a kill may have come between its checkpoint and that."""
    return any(line["event"] == RoundEvaluated.event and line["round"] == number for line in run.history())


def _open(
    config: Config,
    grid: Grid,
    run: RunDirectory,
    progress: Progress,
    trail: Trail | None,
    registered: Mapping[int, str] | None,
) -> Federation:
    """Connect the sites and check that they fit."""
    contract = contract_from_config(config.data.contract, config.data.contract_file)
    header = Header(run=run.name, round=0, seed=config.seed, contract=contract.digest)
    text = dumps(replace(config, tracking=TrackingConfig()))  # tracking settings stay on the server
    if not run.resumed:
        rounds = config.federation.rounds
        run.record(RunStarted(run=run.name, seed=config.seed, rounds=rounds, contract=contract.digest))
    reporting = partial(report_with_trail, run, progress, trail)
    sites = Members(grid, HelloRequest(header=header, config=text), contract, reporting, registered)
    sites.connect(config.federation.min_sites, config.federation.wait_seconds)
    for site in sites.names:
        reporting(joined(sites.hellos[site]))
    if all("test" in sites.hellos[site].declines for site in sites.names):
        raise FederationError(
            f"handshake: none of {', '.join(sites.names)} sends test scores, so the run would end with nothing to "
            "report; at least one site has to send some (policy.test.tell in its site file)"
        )
    return Federation(
        config=config,
        config_text=text,
        contract=contract,
        requests=RequestChannel(grid, reporting, trail),
        sites=sites,
        run=run,
        progress=progress,
    )


def _run_round(federation: Federation, server: Workspace, at: Checkpoint) -> Checkpoint:
    """Train at the sites of the next round, aggregate, score at all sites."""
    started = time.monotonic()
    number = at.round + 1
    trained = _train_with_quorum(federation, at)
    if isinstance(trained, QuorumError):
        skipped = RoundRecord(round=number, dev=None, seconds=time.monotonic() - started, refused=trained.refused)
        return replace(at, rounds=(*at.rounds, skipped))
    scored = evaluate_sites(federation, number, trained.state, number, DEV)
    public_dev = _score_public(federation, server, trained.state)
    refused = {**scored.refused, **trained.record.refused}  # in training before scoring
    record = replace(
        trained.record,
        dev=score(scored.pooled(), federation.contract) if scored.counts else None,
        seconds=time.monotonic() - started,
        bytes_down=trained.record.bytes_down + num_bytes(trained.state) * scored.asked,
        refused=dict(sorted(refused.items())),
        withheld=scored.withheld,
        public_dev=public_dev,
    )
    return Checkpoint(
        contract=at.contract,
        rounds=(*at.rounds, record),
        examples=at.examples + trained.examples,
        state=trained.state,
        state_digest=trained.state_digest,
        memory=trained.memory,
    )


def _train_with_quorum(federation: Federation, at: Checkpoint) -> TrainedRound | QuorumError:
    """Train a round, with retries as the policy says; return the missed quorum if the round is to be skipped.

    Raises:
        QuorumError: the quorum is missed and the run has to stop.
        FederationError: too few usable replies for the aggregation.
    """
    config, number = federation.config, at.round + 1
    policy = config.federation.missed_quorum
    tries_left = config.federation.retries if policy is MissedQuorum.retry else 0
    out = _suspended(federation, at.rounds)
    while True:
        try:
            federation.progress.round_started(number, config.federation.rounds, at.rounds)
            return train_round(federation, number, _participants(federation, number, out), at)
        except QuorumError as error:
            then = MissedQuorum.stop if policy is MissedQuorum.retry and not tries_left else policy
            federation.report(QuorumMissed(round=number, reason=str(error), then=then.value))
            if then is MissedQuorum.stop:
                raise
            if then is MissedQuorum.skip:
                return error
            tries_left -= 1


def _suspended(federation: Federation, rounds: tuple[RoundRecord, ...]) -> frozenset[str]:
    """Return the suspended sites, and report those that are newly suspended."""
    limit = federation.config.federation.max_refusals
    out, before = suspended(rounds, limit), suspended(rounds[:-1], limit)
    for site in sorted(out.keys() - before.keys()):
        federation.report(SiteSuspended(round=rounds[-1].round + 1, site=site, reason=str(out[site])))
    return frozenset(out)


def _participants(federation: Federation, number: int, out: frozenset[str]) -> Participants:
    """Admit new sites, wait for the mandatory ones, then sample the round's participants.

    Raises:
        QuorumError: too few sites are there.
    """
    config, sites = federation.config, federation.sites
    sites.update(number)
    sites.wait_for(config.federation.min_sites, config.federation.mandatory, config.federation.wait_seconds, number)
    willing = [site for site in sites.names if site not in out]
    asked = sample_sites(willing, config.federation, config.seed, number)
    spares = draw_spares(willing, asked, config.federation, config.seed, number)
    federation.run.record(RoundStarted(round=number, rounds=config.federation.rounds, sites=asked, spares=spares))
    return Participants(asked, spares)


def _score_public(federation: Federation, server: Workspace, arrays: State) -> Score | None:
    """Score on the server's own public files, where the config names some."""
    config = federation.config
    if not config.federation.public_dev:
        return None
    documents = load_files(config.data, config.federation.public_dev)
    set_state(server.tagger.model, arrays)
    evaluation = evaluate(server.tagger, server.encoded(documents), config.training)
    return score(total(evaluation.document_counts), federation.contract)


def _report_round(federation: Federation, at: Checkpoint) -> None:
    rounds = federation.config.federation.rounds
    federation.run.record(round_evaluated(at.rounds, rounds))
    federation.progress.round_finished(at.rounds[-1], rounds)


def _final_test(federation: Federation, at: Checkpoint, began: float, startup_seconds: float) -> RunOutcome:
    """Score the best round's state on the test shards, once.

    Raises:
        FederationError: no round had a quorum, or no site sends test scores.
    """
    if not any(entry.sites for entry in at.rounds):
        raise FederationError(f"none of {at.round} rounds had a quorum, so there is nothing to test; see the refusals")
    federation.sites.update(at.round)
    best = load_best(federation.run.checkpoints_path, at)
    tested = evaluate_sites(federation, 0, best.state, best.round, TEST)
    contract = federation.contract
    if not tested.counts:
        raise FederationError(
            f"no site sends test scores ({', '.join(tested.withheld)}), so there is nothing to report; the state of "
            f"round {best.round} is kept in {federation.run.checkpoints_path}"
        )
    scores = {site: score(counts, contract) for site, counts in tested.counts.items()}
    result = RunResult(
        test=score(tested.pooled(), contract),
        sites=scores,
        support=contributions(scores, tested.unannotated),
        rounds=at.rounds,
        best_round=best.round,
        examples_seen=at.examples,
        seconds=time.monotonic() - began,
        startup_seconds=startup_seconds,
        lr=federation.config.training.lr,
        state_digest=best.state_digest,
        withheld=tested.withheld,
    )
    federation.run.record(run_finished(result))
    return RunOutcome(result=result, test_counts=tested.documents, best_state=best.state)


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the federation that Flower's run config describes.

    `config` is the resolved config as one JSON string. `folder` is the absolute folder that relative paths in it, the
    run directory's among them, are seen from; empty means the working directory of the process that runs this app,
    which under `flwr run` is the one the local SuperLink was first started in. `resume` true goes on with the run of
    that name, if there is one, after its last whole round. `nodes` maps each node id to the site that owns its key
    (`registered_nodes`).
    """
    look_again_soon()
    given = context.run_config
    registered = registered_nodes(str(given.get("nodes", "")))
    config = run_config(str(given.get("config", "")), str(given.get("folder", "")))
    require_extras(config.tracking)
    contract = contract_from_config(config.data.contract, config.data.contract_file)
    path = new_run_path(config, "flower")
    if resumes(given.get("resume", False), config) and (path / "config.yaml").exists():
        with lock_run(path):
            _play(config, contract, grid, resume_run(path, config, contract), registered)
    else:
        run = create_run(path, config, contract)
        with lock_run(path):
            _play(config, contract, grid, run, registered)


def _play(
    config: Config, contract: LabelContract, grid: Grid, run: RunDirectory, registered: Mapping[int, str] | None
) -> None:
    progress = FlowerLog()
    progress.run_started(f"run directory {run.path}")
    outcome = federate(config, grid, run, progress, Trail(run.path / "audit.jsonl", run.name), registered)
    save_model(outcome, config, contract, run.model_path)
    save_run(run.path, outcome)
    progress.message(f"test F1 {outcome.result.test.micro.f1:.4f}, model in {run.model_path}")
