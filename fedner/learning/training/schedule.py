"""The place of one call of the local loop in a whole run: its learning rates and its random streams."""

from dataclasses import dataclass

from fedner.config import Schedule, TrainingConfig
from fedner.seeding import derive_seed
from fedner.tensors import State


@dataclass(frozen=True)
class Part:
    """One of the equal parts that a run's schedule is divided into; in a federation one round."""

    name: str
    """Name for messages, such as `round 3`."""
    before: int
    """Parts before this one."""
    total: int
    """Parts of the whole run."""

    def progress(self, share: float) -> float:
        """Return the share of the whole run that is done, in [0, 1], at a share of this part."""
        return (self.before + share) / self.total


@dataclass(frozen=True, kw_only=True)
class LocalTraining:
    """The task of one call of `fit`."""

    config: TrainingConfig
    site: str
    """Name that, with the seed, decides the order of examples; the centralized arm has one too."""
    seed: int
    """Run seed."""
    dropout_seed: int
    part: Part
    control: State | None = None
    """The federation's control variate, for SCAFFOLD."""


def in_round(
    config: TrainingConfig, *, seed: int, site: str, number: int, rounds: int, control: State | None = None
) -> LocalTraining:
    """Return a site's task in one round of a run.

    Args:
        seed: run seed.
        number: the round, 1 to `rounds`; decides dropout and the place in the learning-rate schedule.
        control: the federation's control variate, for SCAFFOLD.
    """
    return LocalTraining(
        config=config,
        site=site,
        seed=seed,
        dropout_seed=derive_seed(seed, "dropout", number, site),
        part=Part(f"round {number}", number - 1, rounds),
        control=control,
    )


def learning_rate(config: TrainingConfig, progress: float) -> float:
    """Return the learning rate at a share of the whole run, in [0, 1]."""
    if progress < config.warmup:
        return config.lr * progress / config.warmup
    if config.schedule == Schedule.constant:
        return config.lr
    return config.lr * (1 - progress) / (1 - config.warmup)
