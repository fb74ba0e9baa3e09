"""One federated run on this machine, with its report."""

from pathlib import Path

from fedner.config import Arm, Config
from fedner.data.sites import load_sites
from fedner.experiments.final_test import with_unseen
from fedner.experiments.store import StoredRun, Unit
from fedner.experiments.summary import Finished, write_metrics
from fedner.federation.local_grid import run_in_process
from fedner.federation.runs import new_run_path
from fedner.learning.workspace import workspace
from fedner.progress import Progress
from fedner.report import write_report


def simulate(config: Config, command: str, progress: Progress) -> Path:
    """Run one federation in this process and write its report; return the run directory.

    Raises:
        InputError: the data or the configuration is at fault.
        RunDirectoryError: the run directory is taken.
        FederationError: a round had too few usable replies.
    """
    directory = new_run_path(config, "simulate")
    sites = load_sites(config.data, config.partition)
    outcome = run_in_process(config, directory, progress)
    outcome = with_unseen(outcome, sites, workspace(config.model, sites.corpus.contract), config.training)
    finished = Finished(runs={Unit(Arm.federated): {config.seed: StoredRun(outcome.result, outcome.test_counts)}})
    write_metrics(directory, config, sites, finished, [], command)
    write_report(directory)
    return directory
