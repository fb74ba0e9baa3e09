"""Trackers that receive a run's events."""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from fedner.config.checks import require


class WandbMode(StrEnum):
    """Whether Weights & Biases writes to this machine's disk only or also sends its data."""

    offline = "offline"
    online = "online"


@dataclass(kw_only=True)
class TrackingConfig:
    """Trackers that receive the events of history.jsonl; all off, none changes a result, sites ignore them."""

    tensorboard: bool = False
    """Write event files for TensorBoard into the run directory (extra `tensorboard`)."""
    mlflow: bool = False
    """Make an MLflow run of every run (extra `mlflow`)."""
    mlflow_uri: str | None = None
    """MLflow's tracking URI, without a password; None is the SQLite file `mlflow.db` under `output`."""
    mlflow_experiment: str = "fedner"
    """Name of the MLflow experiment that the runs join; created if it does not exist."""
    wandb: WandbMode | None = None
    """Weights & Biases: `offline` writes into the run directory and sends nothing, `online` sends (extra `wandb`); None
    is off."""
    wandb_project: str = "fedner"
    """Name of the Weights & Biases project."""
    prometheus_port: int | None = None
    """TCP port, [1, 65535], at which the server answers Prometheus while a run lasts (extra `prometheus`); None is
    off."""
    prometheus_host: str = "127.0.0.1"
    """Address the Prometheus port is opened on; the default is reached from this machine only."""

    def __post_init__(self) -> None:
        port = self.prometheus_port
        require(port is None or 1 <= port <= 65535, "tracking.prometheus_port", "a port in [1, 65535] or null", port)
        for name in ("mlflow_experiment", "wandb_project", "prometheus_host"):
            require(bool(getattr(self, name).strip()), f"tracking.{name}", "a name", getattr(self, name))
        uri = self.mlflow_uri
        require(uri is None or bool(uri.strip()), "tracking.mlflow_uri", "a tracking URI or null", uri)
        # The value is not repeated: it would stand in logs.
        secret = uri is not None and urlsplit(uri).password is not None
        wanted = "no password, since config.yaml keeps it; set MLFLOW_TRACKING_PASSWORD in the environment"
        require(not secret, "tracking.mlflow_uri", wanted, "one")
