# pyright: basic, reportMissingImports=false
# The library is an extra and need not be there when types are checked.
"""MLflow: one MLflow run per run, in a SQLite file beside the run directories or on a tracking server."""

import os
import time
import warnings
from dataclasses import replace
from typing import Any

from fedner.config import TrackingConfig
from fedner.records.events import Event
from fedner.tracking.measures import Measured, Measures
from fedner.tracking.subject import Remembered, Subject, recall, remember

_NAME = "mlflow"
_MOST_AT_ONCE = 100
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # Its own defaults let a server that is away hold up a round for many minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


def open_mlflow(tracking: TrackingConfig, subject: Subject) -> "Mlflow":
    """Make an MLflow run in the experiment, or go on with the one that the run directory names."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow.tracking import MlflowClient

    uri = tracking.mlflow_uri or f"sqlite:///{subject.output / 'mlflow.db'}"
    with warnings.catch_warnings():
        # MLflow's use of SQLAlchemy, which a user can do nothing about.
        warnings.filterwarnings("ignore", message=r"The ``noload`` loader strategy", category=DeprecationWarning)
        client = MlflowClient(tracking_uri=uri)
        kept = recall(subject.folder, _NAME, uri) or _new_run(client, tracking.mlflow_experiment, uri, subject)
    client.update_run(kept.identity, status="RUNNING")
    return Mlflow(client, subject, kept)


def _new_run(client: Any, experiment_name: str, uri: str, subject: Subject) -> Remembered:
    from mlflow.entities import Param

    experiment = client.get_experiment_by_name(experiment_name)
    # A server says itself where artifacts go; beside a file they must not land in the working directory.
    artifacts = (subject.output / "mlflow-artifacts").as_uri() if uri.startswith("sqlite:") else None
    identity = (
        experiment.experiment_id
        if experiment
        else client.create_experiment(experiment_name, artifact_location=artifacts)
    )
    run = client.create_run(identity, run_name=subject.name)
    params = [Param(key, str(value)) for key, value in subject.settings.items()]
    for start in range(0, len(params), _MOST_AT_ONCE):
        client.log_batch(run.info.run_id, params=params[start : start + _MOST_AT_ONCE])
    kept = Remembered(identity=run.info.run_id, place=uri)
    remember(subject.folder, _NAME, kept)
    return kept


class Mlflow:
    """Sends the numbers of every whole round at once; a round that was sent before is not sent again."""

    def __init__(self, client: Any, subject: Subject, kept: Remembered) -> None:
        self._client = client
        self._folder = subject.folder
        self._kept = kept
        self._measures = Measures()

    def event(self, event: Event) -> None:
        """Send what a round brought."""
        measured = self._measures.of(event)
        if measured is None or (not measured.last and measured.step <= self._kept.round):
            return
        self._send(measured)
        self._kept = replace(self._kept, round=max(measured.step, self._kept.round))
        remember(self._folder, _NAME, self._kept)

    def _send(self, measured: Measured) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, float(value), now, measured.step) for name, value in measured.values.items()]
        for start in range(0, len(metrics), _MOST_AT_ONCE):
            self._client.log_batch(self._kept.identity, metrics=metrics[start : start + _MOST_AT_ONCE])

    def close(self, finished: bool) -> None:
        """Say how the run ended."""
        self._client.set_terminated(self._kept.identity, "FINISHED" if finished else "KILLED")
