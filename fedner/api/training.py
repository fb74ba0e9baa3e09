"""New runs from Python: what `fedner simulate` and `fedner compare` do."""

from pathlib import Path

from fedner import experiments
from fedner.api.runs import Run, open_run
from fedner.config import Config
from fedner.records.progress import Progress, Silent


def simulate(config: Config, progress: Progress | None = None) -> Run:
    """Run one federation in this process, write its run directory and report, and open it.

    Args:
        progress: is called as rounds begin and end; None reports nothing.

    Raises:
        InputError: the data or the configuration is at fault.
        RunDirectoryError: the run directory exists already.
        FederationError: a round had too few usable replies.
    """
    return open_run(experiments.simulate(config, "fedner.simulate, from Python", progress or Silent()))


def resume(directory: str | Path, config: Config, progress: Progress | None = None) -> Run:
    """Resume a run that was interrupted, or that should go on for more rounds, after its last whole round.

    Raises:
        RunDirectoryError: there is no such run, it is finished or running, or the config would change its result.
        InputError, FederationError: as `simulate`.
    """
    command = "fedner.resume, from Python"
    return open_run(experiments.resume(Path(directory), config, command, progress or Silent()))


def compare(config: Config, progress: Progress | None = None) -> Run:
    """Train centralized, federated and each site alone on the same data; call it again to continue after a stop.

    Raises:
        InputError: the data or the configuration is at fault.
        RunDirectoryError: the study directory holds a comparison with another configuration.
    """
    return open_run(experiments.compare(config, "fedner.compare, from Python", progress or Silent()))
