"""Run one federation on this machine, resume it, or run it as one of a study."""

from dataclasses import replace
from pathlib import Path

from fedner.config import Config
from fedner.data.corpus import num_sentences
from fedner.data.simulated_sites import Sites, load_sites
from fedner.learning.device import all_cores
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

    Checkpoints and the sites' memory stay in the directory until the result is written; the caller then calls
    `RunDirectory.drop_checkpoints`. A run that lost the folder of its sites restarts.

    Raises:
        InputError, RunDirectoryError, FederationError: as `run_in_process` and `resume_in_process`.
    """
    config = with_threads(config)
    sites = load_sites(config.data, config.partition)
    interrupted = (directory / "history.jsonl").is_file()
    resumes = interrupted and RunDirectory(directory).sites_path.is_dir()
    if interrupted and not resumes and progress is not None:
        progress.message("restarts: the folder with the sites' memory is not there")
    if not resumes:
        create_run(directory, config, sites.corpus.contract, restart=True).sites_path.mkdir()
    with lock_run(directory):
        run = resume_run(directory, config, sites.corpus.contract) if resumes else open_run(directory)
        return _federate(config, sites, run, progress)


def _play(config: Config, sites: Sites, run: RunDirectory, progress: Progress | None) -> RunOutcome:
    outcome = _federate(config, sites, run, progress)
    save_model(outcome, config, sites.corpus.contract, run.model_path)
    if config.model.personal and progress is not None:
        models = ", ".join(f"{shard.site}: {run.sites_path / str(index) / 'model'}"
                           for index, shard in enumerate(sites.shards))  # fmt: skip
        stayed = ", ".join(config.model.personal)
        progress.message(f"{stayed} stayed at the sites, so that each has a model of its own: {models}")
    return outcome


def _federate(config: Config, sites: Sites, run: RunDirectory, progress: Progress | None) -> RunOutcome:
    sizes = [num_sentences(shard.train) for shard in sites.shards]
    with local_grid(sizes, config.federation.workers, memory=run.sites_path) as grid:
        return federate(config, grid, run, progress)


def with_threads(config: Config) -> Config:
    """Return the config with the cores shared out, where sites train side by side and nothing else was asked for."""
    if config.federation.workers == 1 or config.training.threads is not None:
        return config
    threads = max(1, all_cores() // config.federation.workers)
    return replace(config, training=replace(config.training, threads=threads))
