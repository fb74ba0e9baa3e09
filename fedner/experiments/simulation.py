"""One federated run on this machine, and the report of any run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fedner.config import Arm, AtSitesData, Config
from fedner.config.paths import new_run_path
from fedner.data.corpus import Corpus, Shard
from fedner.data.labels import LabelContract, read_contract
from fedner.data.simulated_sites import Sites, load_sites
from fedner.errors import RunError
from fedner.experiments.final_scores import with_unseen
from fedner.experiments.study_directory import Finished, Unit
from fedner.experiments.summary import write_metrics
from fedner.learning.workspace import workspace
from fedner.records.progress import Progress
from fedner.records.results import RunOutcome, StoredRun, load_run, save_run
from fedner.records.run_directory import read_config
from fedner.report import write_report
from fedner.simulation.running import resume_in_process, run_in_process
from fedner.tracking import require_extras


def simulate(config: Config, command: str, progress: Progress) -> Path:
    """Run one federation in this process and write its report; return the run directory.

    Raises:
        InputError: the data or the configuration is at fault.
        RunDirectoryError: the run directory is taken.
        FederationError: a round had too few usable replies.
    """
    require_extras(config.tracking)
    directory = new_run_path(config, "simulate")
    with _explaining_how_to_resume(directory, progress):
        outcome = run_in_process(config, directory, progress)
        _finish(directory, config, outcome, command)
    return directory


def resume(directory: Path, config: Config, command: str, progress: Progress) -> Path:
    """Resume a run that `simulate` began, from its last whole round; return its directory.

    Raises:
        RunDirectoryError: there is no such run, it is finished or at work, or the config would change its result.
        InputError, FederationError: as `simulate`.
    """
    require_extras(config.tracking)
    with _explaining_how_to_resume(directory, progress):
        outcome = resume_in_process(config, directory, progress)
        _finish(directory, config, outcome, command)
    return directory


@contextmanager
def _explaining_how_to_resume(directory: Path, progress: Progress) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, RunError, OSError):
        begun, finished = (directory / "config.yaml").exists(), (directory / "result.json").exists()
        if begun and not finished:
            progress.message(f"to resume after the last whole round: fedner simulate resume={directory}")
        elif finished and not (directory / "report" / "index.html").exists():
            progress.message(f"the run itself is finished; to draw its report: fedner report {directory}")
        raise


def _finish(directory: Path, config: Config, outcome: RunOutcome, command: str) -> None:
    sites = load_sites(config.data, config.partition)
    outcome = with_unseen(outcome, sites, workspace(config.model, sites.corpus.contract), config.training)
    save_run(directory, outcome)
    _write_report(directory, config, sites, StoredRun(outcome.result, outcome.test_counts), command)


def report(directory: Path) -> None:
    """Write the report of a comparison or a run again; a run that Flower's own runtime made gets its first one.

    Raises:
        RunDirectoryError: the directory holds no finished run.
        InputError: the run's data is no longer where its configuration points.
    """
    run = load_run(directory)
    if run is None or (directory / "report" / "metrics.json").exists():
        write_report(directory)
        return
    config = read_config(directory / "config.yaml")
    if isinstance(config.data, AtSitesData):
        contract = read_contract(directory / "contract.yaml")
        _write_report(directory, config, _sites_of(run, contract), run, f"fedner submit KIT name={config.name}")
        return
    sites = load_sites(config.data, config.partition)
    _write_report(directory, config, sites, run, f"fedner simulate --from {directory}")


def _sites_of(run: StoredRun, contract: LabelContract) -> Sites:
    """Return real sites as far as they are known here: their names, and none of their text."""
    corpus = Corpus("each site's own text", contract, (), (), ())
    shards = tuple(Shard(site, (), (), ()) for site in sorted(run.result.sites))
    return Sites(corpus=corpus, shards=shards, unseen=())


def _write_report(directory: Path, config: Config, sites: Sites, run: StoredRun, command: str) -> None:
    finished = Finished(runs={Unit(Arm.federated): {config.seed: run}})
    at_sites = isinstance(config.data, AtSitesData)
    bench = None if at_sites else workspace(config.model, sites.corpus.contract)
    write_metrics(directory, config, sites, bench, finished, [], command)
    write_report(directory)
