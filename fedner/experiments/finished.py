"""What a comparison has so far, in memory: what metrics.json is written from."""

from dataclasses import dataclass, field

from fedner.config import Arm
from fedner.experiments.store import Unit
from fedner.results import StoredRun


@dataclass
class Finished:
    """What a comparison has so far: runs by unit and seed, and dev F1 by unit and learning rate tried."""

    runs: dict[Unit, dict[int, StoredRun]] = field(default_factory=dict)
    tuning: dict[Unit, dict[float, float]] = field(default_factory=dict)

    def of(self, arm: Arm) -> dict[Unit, dict[int, StoredRun]]:
        """Return the runs of one arm."""
        return {unit: runs for unit, runs in self.runs.items() if unit.arm is arm}
