"""What a comparison keeps on disk: one folder per finished run, so that an interrupted one goes on where it stopped.

<study>/config.yaml  contract.yaml  environment.json
<study>/arms/<arm>[/<site>]/seed-<s>-lr-<lr>/  result.json  test_counts.safetensors
<study>/model/  report/
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fedner.config import Arm, Config, differences
from fedner.data.labels import LabelContract, write_contract
from fedner.errors import RunDirectoryError
from fedner.federation.runs import environment, read_config, write_config
from fedner.results import write_json

FREE_KEYS = ("name", "output", "seed", "experiment", "tracking")
"""What may change between two calls of one comparison: where it lies, which arms, seeds and rates it runs, and who is
told of it."""

_FEDERATED = (
    "fraction", "min_sites", "min_share", "mandatory", "missed_quorum", "retries", "weighting", "weight_cap",
    "max_update_norm", "max_refusals", "workers", "public_dev", "wait_seconds", "deadline_seconds",
)  # fmt: skip
FEDERATED_KEYS = (
    "aggregation",
    "model.personal",
    *(f"training.{key}" for key in ("optimizer_state", "prox_mu", "scaffold", "dyn_alpha")),
    *(f"federation.{key}" for key in _FEDERATED),
)
"""What the federated arm alone depends on: with its runs removed, another setting may join the other arms' runs."""


@dataclass(frozen=True)
class Unit:
    """Something that is trained once per seed and learning rate: an arm, or one site of the local arm."""

    arm: Arm
    site: str = ""

    @property
    def label(self) -> str:
        """Return `federated`, or `local/site-0`."""
        return f"{self.arm.value}/{self.site}" if self.site else self.arm.value


def run_directory(study: Path, unit: Unit, seed: int, lr: float) -> Path:
    """Return where a run of the study lies; site names may hold anything, so they are made safe and kept distinct."""
    folder = study / "arms" / unit.arm.value
    if unit.site:
        safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in unit.site)
        distinct = safe if safe == unit.site else f"{safe}-{hashlib.sha256(unit.site.encode()).hexdigest()[:8]}"
        folder = folder / distinct
    return folder / f"seed-{seed}-lr-{lr:g}"


def open_study(directory: Path, config: Config, contract: LabelContract) -> None:
    """Create a study directory, or check that the one there is of the same configuration.

    Raises:
        RunDirectoryError: the directory holds something else, or a study whose configuration differs.
    """
    saved = directory / "config.yaml"
    if saved.exists():
        _check_unchanged(directory, read_config(saved), config)
    elif directory.exists() and any(directory.iterdir()):
        raise RunDirectoryError(f"{directory}: holds files that are no comparison of fedner's; choose another name=…")
    directory.mkdir(parents=True, exist_ok=True)
    write_config(config, saved)
    write_contract(contract, directory / "contract.yaml")
    write_json(directory / "environment.json", environment(config.training.threads))


def _check_unchanged(directory: Path, before: Config, now: Config) -> None:
    changed = differences(before, now, free=FREE_KEYS)
    federated = directory / "arms" / Arm.federated.value
    only_federated = not differences(before, now, free=(*FREE_KEYS, *FEDERATED_KEYS))
    if not changed or (only_federated and not federated.exists()):
        return
    remedy = f"or delete {federated} to redo that arm alone" if only_federated else "or delete the folder"
    raise RunDirectoryError(
        f"{directory}: holds a comparison with another configuration ({'; '.join(changed[:5])}); "
        f"choose another name=… {remedy}"
    )
