"""Trackers follow a run's history: each receives every event of history.jsonl, and none may end the run.

A tracker is whatever has `event` and `close`; each library is imported in one file only, and only when a run
asks for it. A tracker's failure is reported once, and that tracker receives nothing more.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import Protocol

from fedner.config import Config, TrackingConfig
from fedner.errors import ConfigError
from fedner.records.events import Event, RunFinished, TrackerFailed
from fedner.records.progress import Progress
from fedner.records.run_directory import RunDirectory
from fedner.tracking.mlflow_runs import open_mlflow
from fedner.tracking.prometheus_endpoint import open_prometheus
from fedner.tracking.subject import Subject, subject_of
from fedner.tracking.tensorboard_files import open_tensorboard
from fedner.tracking.wandb_runs import open_wandb

__all__ = ["Tracker", "followed", "require_extras"]

_LIBRARIES = {"tensorboard": "tensorboard", "mlflow": "mlflow", "wandb": "wandb", "prometheus": "prometheus_client"}


class Tracker(Protocol):
    """Receives the events of a run."""

    def event(self, event: Event) -> None:
        """Take one event; events come in the order of the history."""
        ...

    def close(self, finished: bool) -> None:
        """Let go of files and connections; `finished` says whether the run came to its end."""
        ...


Opener = Callable[[TrackingConfig, Subject], Tracker]


def _wanted(tracking: TrackingConfig) -> dict[str, Opener]:
    """Return the trackers that are asked for, by the name of their extra."""
    openers: dict[str, tuple[bool, Opener]] = {
        "tensorboard": (tracking.tensorboard, open_tensorboard),
        "mlflow": (tracking.mlflow, open_mlflow),
        "wandb": (tracking.wandb is not None, open_wandb),
        "prometheus": (tracking.prometheus_port is not None, open_prometheus),
    }
    return {name: opener for name, (wanted, opener) in openers.items() if wanted}


def require_extras(tracking: TrackingConfig) -> None:
    """Check that the library of every tracker that is asked for is installed, before anything else is done.

    Raises:
        ConfigError: one is not, with the extra that brings it.
    """
    for name in _wanted(tracking):
        found = find_spec(_LIBRARIES[name])
        # A folder of that name in the working directory, as W&B leaves one, looks like a package without a file.
        if found is None or found.origin is None:
            raise ConfigError(
                f"tracking: expected {_LIBRARIES[name]}, got it is not installed; pip install 'fedner[{name}]'"
            )


@contextmanager
def followed(config: Config, run: RunDirectory, progress: Progress) -> Generator[RunDirectory]:
    """Let the trackers that the config asks for follow a run's history, and close them however the run ends.

    Raises:
        ConfigError: the library of one is not installed.
    """
    require_extras(config.tracking)
    wanted = _wanted(config.tracking)
    if not wanted:
        yield run
        return

    def report(failure: TrackerFailed) -> None:
        run.record(failure)
        progress.message(f"{failure.tracker} is disabled for the rest of this run: {failure.reason}")

    subject = subject_of(config, run.path)
    followers = [
        _Follower(name, lambda o=opener: o(config.tracking, subject), report) for name, opener in wanted.items()
    ]
    try:
        yield replace(run, followers=(*run.followers, *followers))
    finally:
        for follower in followers:
            follower.close()


class _Follower:
    """Passes events on to a tracker until something goes wrong with it."""

    def __init__(self, name: str, open_tracker: Callable[[], Tracker], report: Callable[[TrackerFailed], None]) -> None:
        self._name = name
        self._report = report
        self._tracker: Tracker | None = None
        self._finished = False
        self._guarded(lambda: setattr(self, "_tracker", open_tracker()))

    def __call__(self, event: Event) -> None:
        """Take one event."""
        tracker = self._tracker
        if tracker is not None:
            self._finished = self._finished or isinstance(event, RunFinished)
            self._guarded(lambda: tracker.event(event))

    def close(self) -> None:
        """Close the tracker."""
        tracker, self._tracker = self._tracker, None
        if tracker is not None:
            self._guarded(lambda: tracker.close(self._finished))

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # whatever a tracker's library, server or disk comes up with
            self._tracker = None
            lines = str(error).strip().splitlines() or [""]
            self._report(TrackerFailed(tracker=self._name, reason=f"{type(error).__name__}: {lines[0][:200]}"))
