"""A comparison: arms x seeds on the same documents, the same passes, the same schedule family, each arm tuned alike.

Where a learning-rate grid is given, every unit (an arm, or one site of the local arm) tries it on the first seed and
keeps the rate with the best dev F1 on the dev documents it may see; its other seeds use that rate. Test documents are
scored with every run's best round and consulted for no choice.

The fine-tuned arm continues, at each site and for each seed, from the federated arm's best state of that seed, which is
kept on disk for it. Its passes come on top of the federation's: it shows how much a site can still gain for itself, and
is no part of the like-for-like comparison.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from fedner.config import Arm, Config
from fedner.data.simulated_sites import Sites, load_sites
from fedner.errors import FednerError
from fedner.experiments.final_scores import with_unseen
from fedner.experiments.local_training import Learner, Recorded, pooled_learner, site_learner, train_alone
from fedner.experiments.study_directory import (
    Finished,
    Unit,
    drop_state,
    keep_state,
    kept_state,
    open_study,
    run_directory,
)
from fedner.experiments.summary import write_metrics
from fedner.learning.tagger.tensors import travelling_names
from fedner.learning.workspace import Workspace, workspace
from fedner.records.events import RunStarted, run_finished
from fedner.records.progress import Progress
from fedner.records.results import RunOutcome, StoredRun, load_run, save_run
from fedner.records.run_directory import RunDirectory
from fedner.release.saving import save_model
from fedner.report import write_report
from fedner.simulation.running import run_of_study
from fedner.tensors import State
from fedner.tracking import followed, require_extras


@dataclass(frozen=True)
class _Bench:
    """The parts that every run of a study shares."""

    config: Config
    directory: Path
    sites: Sites
    workspace: Workspace
    progress: Progress


def compare(config: Config, command: str, progress: Progress) -> Path:
    """Run what is missing of a comparison and write its report; return the study directory.

    Interrupted, it still writes a report of what is finished; called again it continues with the rest, a federated run
    from its last whole round.

    Raises:
        InputError: the data or the configuration is at fault.
        RunDirectoryError: the study directory holds a comparison with another configuration.
    """
    require_extras(config.tracking)
    directory = Path(config.output) / (config.name or "compare")
    sites = load_sites(config.data, config.partition)
    open_study(directory, config, sites.corpus.contract)
    bench = _Bench(config, directory, sites, workspace(config.model, sites.corpus.contract), progress)
    finished = Finished()
    try:
        for unit in planned_units(config, sites):
            _run_unit(bench, unit, finished)
    except (KeyboardInterrupt, FednerError):
        _write_report(bench, finished, command)
        raise
    _write_report(bench, finished, command)
    return directory


def _write_report(bench: _Bench, finished: Finished, command: str) -> None:
    """Write metrics.json and the report of what there is."""
    if not finished.runs:
        return
    missing = [
        f"{unit.label} seed {seed}"
        for unit in planned_units(bench.config, bench.sites)
        for seed in bench.config.experiment.seeds
        if seed not in finished.runs.get(unit, {})
    ]
    write_metrics(bench.directory, bench.config, bench.sites, bench.workspace, finished, missing, command)
    write_report(bench.directory)


def planned_units(config: Config, sites: Sites) -> list[Unit]:
    """Return what the comparison trains, in order."""
    units: list[Unit] = []
    # Fine-tuning starts from the federated arm's models, whatever order the arms were named in.
    for arm in sorted(config.experiment.arms, key=lambda arm: arm is Arm.fine_tuned):
        if arm.per_site:
            units += [Unit(arm, shard.site) for shard in sites.shards]
        else:
            units.append(Unit(arm))
    return units


def _run_unit(bench: _Bench, unit: Unit, finished: Finished) -> None:
    experiment = bench.config.experiment
    lr = bench.config.training.lr
    if experiment.lr_grid:
        first = experiment.seeds[0]
        tried = {rate: _run_or_load(bench, unit, first, rate, finished) for rate in experiment.lr_grid}
        dev = {rate: best_dev(run) for rate, run in tried.items()}
        finished.tuning[unit] = dev
        lr = max(dev, key=lambda rate: dev[rate])
        bench.progress.message(f"{unit.label}: learning rate {lr:g} is best on dev")
        for rate in set(tried) - {lr}:
            drop_state(run_directory(bench.directory, unit, first, rate))
    for seed in experiment.seeds:
        finished.runs.setdefault(unit, {})[seed] = _run_or_load(bench, unit, seed, lr, finished)


def best_dev(run: StoredRun) -> float:
    """Return the dev micro F1 of the run's best round."""
    dev = next(entry.dev for entry in run.result.rounds if entry.round == run.result.best_round)
    return dev.micro.f1 if dev else 0.0


def _run_or_load(bench: _Bench, unit: Unit, seed: int, lr: float, finished: Finished) -> StoredRun:
    directory = run_directory(bench.directory, unit, seed, lr)
    stored = load_run(directory)
    federated = finished.runs[Unit(Arm.federated)][seed] if unit.arm is Arm.fine_tuned else None
    if stored is not None and (federated is None or stored.result.started_from == federated.result.state_digest):
        RunDirectory(directory).drop_checkpoints()  # an interruption may have come between its result and this
        bench.progress.message(f"{unit.label} seed {seed} lr {lr:g}: already there")
        return stored
    start = None if federated is None else _federated_state(bench, seed, federated, finished)
    return _run_anew(bench, unit, seed, lr, start)


def _run_anew(bench: _Bench, unit: Unit, seed: int, lr: float, start: State | None = None) -> StoredRun:
    directory = run_directory(bench.directory, unit, seed, lr)
    config = replace(bench.config, seed=seed, training=replace(bench.config.training, lr=lr))
    bench.progress.run_started(f"{unit.label} seed {seed} lr {lr:g}")
    if unit.arm is Arm.federated:
        outcome = with_unseen(
            run_of_study(config, directory, bench.progress), bench.sites, bench.workspace, config.training
        )
        if Arm.fine_tuned in config.experiment.arms:
            keep_state(directory, outcome.best_state)
    else:
        shard = next((shard for shard in bench.sites.shards if shard.site == unit.site), None)
        learner = site_learner(shard) if shard else pooled_learner(bench.sites)
        outcome = _run_alone(bench, config, learner, directory, start)
    save_run(directory, outcome)
    RunDirectory(directory).drop_checkpoints()  # the weights of dozens of runs would pile up
    run = StoredRun(outcome.result, outcome.test_counts)
    if unit.arm is Arm.federated and _is_the_model(bench, unit, seed, run):
        save_model(outcome, config, bench.sites.corpus.contract, bench.directory / "model")
    return run


def _federated_state(bench: _Bench, seed: int, run: StoredRun, finished: Finished) -> State:
    """Return the best state of the seed's federation; if its weights were not kept, the federation is run again."""
    unit, lr = Unit(Arm.federated), run.result.lr
    directory = run_directory(bench.directory, unit, seed, lr)
    names = travelling_names(bench.workspace.tagger.model)
    state = kept_state(directory, names, run.result.state_digest)
    if state is not None:
        return state
    bench.progress.message(f"{unit.label} seed {seed} lr {lr:g}: its weights were not kept, so it is trained again")
    shutil.rmtree(directory)
    again = _run_anew(bench, unit, seed, lr)
    finished.runs[unit][seed] = again
    state = kept_state(directory, names, again.result.state_digest)
    assert state is not None
    return state


def _is_the_model(bench: _Bench, unit: Unit, seed: int, run: StoredRun) -> bool:
    """Return whether the study's model is this run's: the federation's first seed at its best learning rate so far."""
    experiment = bench.config.experiment
    if seed != experiment.seeds[0]:
        return False
    stored = [load_run(run_directory(bench.directory, unit, seed, rate)) for rate in experiment.lr_grid]
    return all(best_dev(other) <= best_dev(run) for other in stored if other is not None)


def _run_alone(bench: _Bench, config: Config, learner: Learner, directory: Path, start: State | None) -> RunOutcome:
    """Train one learner; its rounds go into a history and to trackers as a federation's do."""
    run = RunDirectory(directory)
    directory.mkdir(parents=True, exist_ok=True)
    run.history_path.unlink(missing_ok=True)  # an unfinished run restarts
    rounds = config.federation.rounds if start is None else config.experiment.fine_tune_rounds
    with followed(config, run, bench.progress) as recorded:
        contract = bench.sites.corpus.contract.digest
        recorded.record(RunStarted(run=run.name, seed=config.seed, rounds=rounds, contract=contract))
        outcome = train_alone(config, learner, bench.sites, bench.workspace, Recorded(bench.progress, recorded), start)
        recorded.record(run_finished(outcome.result))
    return outcome
