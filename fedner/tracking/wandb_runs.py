# pyright: basic, reportMissingImports=false
# The library is an extra and need not be there when types are checked.
"""Weights & Biases: offline into the run directory, from where `wandb sync` may send it; online where asked for."""

import os
import uuid
from dataclasses import replace
from typing import Any

from fedner.config import TrackingConfig, WandbMode
from fedner.errors import ConfigError
from fedner.records.events import Event
from fedner.tracking.measures import Measures
from fedner.tracking.subject import Remembered, Subject, recall, remember

_NAME = "wandb"


def open_wandb(tracking: TrackingConfig, subject: Subject) -> "Wandb":
    """Make a W&B run, or go on with the one that the run directory names."""
    # Crash reports would leave the machine even offline.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    mode = tracking.wandb or WandbMode.offline
    if mode is WandbMode.online and not wandb.login(prompt=False):
        raise ConfigError("tracking.wandb=online: expected a W&B login, got none; run `wandb login` first")
    place = f"{mode.value} {tracking.wandb_project}"
    kept = recall(subject.folder, _NAME, place) or Remembered(identity=uuid.uuid4().hex[:8], place=place)
    remember(subject.folder, _NAME, kept)
    folder = subject.folder / "tracking"
    run = wandb.init(
        project=tracking.wandb_project,
        id=kept.identity,
        name=subject.name,
        config=dict(subject.settings),
        resume="allow",
        dir=str(folder),
        settings=_settings(wandb, mode),
    )
    return Wandb(run, subject, kept)


def _settings(wandb: Any, mode: WandbMode) -> Any:
    """Return settings with which W&B receives what is sent and nothing of the machine, its user or its code."""
    return wandb.Settings(
        mode=mode.value,
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        save_code=False,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        host="",
        program="",
        init_timeout=30,
    )


class Wandb:
    """Logs the numbers of every whole round at once; a round that was sent before is not sent again."""

    def __init__(self, run: Any, subject: Subject, kept: Remembered) -> None:
        self._run = run
        self._folder = subject.folder
        self._kept = kept
        self._measures = Measures()

    def event(self, event: Event) -> None:
        """Log what a round brought; the final test becomes the run's summary."""
        measured = self._measures.of(event)
        if measured is None:
            return
        if measured.last:
            self._run.summary.update(dict(measured.values))
        elif measured.step > self._kept.round:
            # A step is written when the next one begins, unless the run is finished.
            self._run.log(dict(measured.values), step=measured.step, commit=True)
            self._kept = replace(self._kept, round=measured.step)
            remember(self._folder, _NAME, self._kept)

    def close(self, finished: bool) -> None:
        """End the W&B run in this process."""
        self._run.finish(exit_code=0 if finished else 1)
