"""Run one federation on this machine, resume it, or run it as one of a study."""

from dataclasses import replace
from pathlib import Path

from fedner.config import Config
from fedner.data.corpus import num_sentences
from fedner.data.simulated_sites import Sites, load_sites
from fedner.learning.device import all_cores
from fedner.records.environment import boot_id
from fedner.records.progress import Progress
from fedner.records.results import RunOutcome
from fedner.records.run_directory import RunDirectory, create_run, lock_run, open_run, resume_run
from fedner.release.saving import save_model
from fedner.server.coordinator import federate
from fedner.simulation.grid import local_grid


def run_in_process(config: Config, directory: Path, progress: Progress | None = None) -> RunOutcome:
    """Run one federation on this machine, without Ray or a daemon, in a directory of its own that can be resumed.

    Raises:
        InputError: the data or the configuration is at fault.
        RunDirectoryError: the directory is taken.
        FederationError: too few usable replies in a round.
    """
    config = with_threads(config)
    sites = load_sites(config.data, config.partition)
    run = create_run(directory, config, sites.corpus.contract)
    with lock_run(run.path):
        return _play(config, sites, run, progress)


def resume_in_process(config: Config, directory: Path, progress: Progress | None = None) -> RunOutcome:
    """Go on with a run that was stopped or killed, from its last whole round, to the result it would have had.

    Raises:
        RunDirectoryError: there is no such run, it is finished or at work, or the config would change its result.
        InputError, FederationError: as `run_in_process`.
    """
    config = with_threads(config)
    sites = load_sites(config.data, config.partition)
    with lock_run(open_run(directory).path):
        run = resume_run(directory, config, sites.corpus.contract)
        return _play(config, sites, run, progress)


def run_of_study(config: Config, directory: Path, progress: Progress | None = None) -> RunOutcome:
    """Run one of a study's many federations, or go on with it from its last whole round.

    What it would go on from stays in the directory until its result is written: `RunDirectory.drop_checkpoints` is then
    the caller's to call. Where a machine tells one start from the next, what its sites remember is not flushed, and a
    run from before a restart begins again.

    Raises:
        InputError, RunDirectoryError, FederationError: as `run_in_process` and `resume_in_process`.
    """
    config = with_threads(config)
    sites = load_sites(config.data, config.partition)
    boot = boot_id()
    mark = directory / "sites" / "boot"
    left = (directory / "history.jsonl").is_file()
    goes_on = left and mark.is_file() and mark.read_text(encoding="ascii") == (boot or "")
    if left and not goes_on and progress is not None:
        progress.message("begins again: the machine was restarted since, or what the sites remember is not there")
    if not goes_on:
        run = create_run(directory, config, sites.corpus.contract, restart=True)
        run.sites_path.mkdir()
        mark.write_text(boot or "", encoding="ascii")
    with lock_run(directory):
        run = resume_run(directory, config, sites.corpus.contract) if goes_on else open_run(directory)
        return _federate(config, sites, run, progress, unflushed=boot is not None)


def _play(config: Config, sites: Sites, run: RunDirectory, progress: Progress | None) -> RunOutcome:
    outcome = _federate(config, sites, run, progress)
    save_model(outcome, config, sites.corpus.contract, run.model_path)
    if config.model.personal and progress is not None:
        models = ", ".join(f"{shard.site}: {run.sites_path / str(index) / 'model'}"
                           for index, shard in enumerate(sites.shards))  # fmt: skip
        stayed = ", ".join(config.model.personal)
        progress.message(f"{stayed} stayed at the sites, so that each has a model of its own: {models}")
    return outcome


def _federate(
    config: Config, sites: Sites, run: RunDirectory, progress: Progress | None, unflushed: bool = False
) -> RunOutcome:
    sizes = [num_sentences(shard.train) for shard in sites.shards]
    with local_grid(sizes, config.federation.workers, memory=run.sites_path, unflushed=unflushed) as grid:
        return federate(config, grid, run, progress)


def with_threads(config: Config) -> Config:
    """Return the config with the cores shared out, where sites train side by side and nothing else was asked for."""
    if config.federation.workers == 1 or config.training.threads is not None:
        return config
    threads = max(1, all_cores() // config.federation.workers)
    return replace(config, training=replace(config.training, threads=threads))
