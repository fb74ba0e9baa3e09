"""The files of a comparison: one folder per finished run, so that an interrupted one continues where it stopped.

<study>/config.yaml  contract.yaml  environment.json
<study>/arms/<arm>[/<site>]/seed-<s>-lr-<lr>/  result.json  test_counts.safetensors
<study>/arms/federated/seed-<s>-lr-<lr>/best.safetensors  only where fine-tuning starts from it
<study>/model/  report/
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from fedner.config import Arm, Config, differences
from fedner.config.knobs import keys
from fedner.data.labels import LabelContract, write_contract
from fedner.errors import RunDirectoryError
from fedner.files import replacing, safe_name, write_json
from fedner.records.environment import environment
from fedner.records.results import StoredRun
from fedner.records.run_directory import read_config, write_config
from fedner.tensors import State, digest

STATE_FILE = "best.safetensors"

FREE_KEYS = keys(Config, lambda knob: knob.free)
"""What may change between two calls of one comparison: where it lies, which arms, seeds and rates it runs, who tracks
it, and where replies are kept, which changes no result and must be changeable once the disk was full."""

ARM_KEYS = {arm: keys(Config, lambda knob, arm=arm: knob.arm is arm) for arm in (Arm.federated, Arm.fine_tuned)}
"""What one arm alone depends on: with its runs removed, another setting may join the other arms' runs.

Fine-tuned runs of a federation that was run anew are noticed by the digest of the weights that they started from.
"""


@dataclass(frozen=True)
class Unit:
    """Something that is trained once per seed and learning rate: an arm, or one site of an arm with one model each."""

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
        folder = folder / safe_name(unit.site)
    return folder / f"seed-{seed}-lr-{lr:g}"


def open_study(directory: Path, config: Config, contract: LabelContract) -> None:
    """Create a study directory, or check that the one there is of the same configuration.

    Raises:
        RunDirectoryError: the directory holds something else, or a study with another configuration.
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
    # One arm's settings may change while it has no run; those of the others must stay as they were.
    taken = {arm: directory / "arms" / arm.value for arm in ARM_KEYS}
    removed = [key for arm, keys in ARM_KEYS.items() if not taken[arm].exists() for key in keys]
    if not changed or not differences(before, now, free=(*FREE_KEYS, *removed)):
        return
    every_arm = [key for keys in ARM_KEYS.values() for key in keys]
    in_the_way = [
        folder
        for arm, folder in taken.items()
        if folder.exists() and len(differences(before, now, free=(*FREE_KEYS, *ARM_KEYS[arm]))) < len(changed)
    ]
    one_arm = not differences(before, now, free=(*FREE_KEYS, *every_arm))
    remedy = (
        f"or delete {' and '.join(map(str, in_the_way))} to redo that arm alone" if one_arm else "or delete the folder"
    )
    raise RunDirectoryError(
        f"{directory}: holds a comparison with another configuration ({'; '.join(changed[:5])}); "
        f"choose another name=… {remedy}"
    )


def keep_state(directory: Path, state: State) -> None:
    """Write a run's best state beside its result."""
    with replacing(directory / STATE_FILE) as draft:
        save_file(state, draft)


def kept_state(directory: Path, names: Sequence[str], wanted_digest: str) -> State | None:
    """Return the state that `keep_state` wrote, or None where there is none.

    Args:
        names: of the tensors, in the order in which they travel.
        wanted_digest: of the state, as the run's result has it.

    Raises:
        RunDirectoryError: it cannot be read, or is not the state of that result.
    """
    path = directory / STATE_FILE
    if not path.is_file():
        return None
    try:
        tensors = load_file(path)
        state = {name: np.ascontiguousarray(tensors[name], dtype=np.float32) for name in names}
    except (OSError, SafetensorError, KeyError) as error:
        raise RunDirectoryError(f"{path}: damaged ({error}); delete this file to train that run again") from error
    if digest(state) != wanted_digest:
        raise RunDirectoryError(
            f"{path}: expected the weights {wanted_digest[:12]} of the result beside it, got {digest(state)[:12]}; the "
            "file was altered: delete it to train that run again"
        )
    return state


def drop_state(directory: Path) -> None:
    """Remove what `keep_state` wrote, if it did."""
    (directory / STATE_FILE).unlink(missing_ok=True)


@dataclass
class Finished:
    """The results of a comparison so far: runs by unit and seed, and dev F1 by unit and learning rate tried."""

    runs: dict[Unit, dict[int, StoredRun]] = field(default_factory=dict)
    tuning: dict[Unit, dict[float, float]] = field(default_factory=dict)

    def of(self, arm: Arm) -> dict[Unit, dict[int, StoredRun]]:
        """Return the runs of one arm."""
        return {unit: runs for unit, runs in self.runs.items() if unit.arm is arm}
