"""What a comparison keeps on disk: one folder per finished run, so that an interrupted one goes on where it stopped.

<study>/config.yaml  contract.yaml  environment.json
<study>/arms/<arm>[/<site>]/seed-<s>-lr-<lr>/  result.json  test_counts.safetensors
<study>/model/  report/
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from fedner.config import Arm, Config, to_plain
from fedner.data.labels import LabelContract, write_contract
from fedner.errors import RunDirectoryError
from fedner.federation.runs import environment, read_config, write_config
from fedner.metrics import DocumentCounts
from fedner.results import RunOutcome, RunResult, read_json, run_from_json, run_to_json, write_json

FREE_KEYS = ("name", "output", "seed", "experiment")
"""What may change between two calls of one comparison: where it lies, and which arms, seeds and rates it runs."""


@dataclass(frozen=True)
class Unit:
    """Something that is trained once per seed and learning rate: an arm, or one site of the local arm."""

    arm: Arm
    site: str = ""

    @property
    def label(self) -> str:
        """Return `federated`, or `local/site-0`."""
        return f"{self.arm.value}/{self.site}" if self.site else self.arm.value


@dataclass(frozen=True)
class StoredRun:
    """A finished run as it lies on disk; the weights themselves are not kept."""

    result: RunResult
    test_counts: Mapping[str, DocumentCounts]


def run_directory(study: Path, unit: Unit, seed: int, lr: float) -> Path:
    """Return where a run of the study lies; site names may hold anything, so they are made safe and kept distinct."""
    folder = study / "arms" / unit.arm.value
    if unit.site:
        safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in unit.site)
        distinct = safe if safe == unit.site else f"{safe}-{hashlib.sha256(unit.site.encode()).hexdigest()[:8]}"
        folder = folder / distinct
    return folder / f"seed-{seed}-lr-{lr:g}"


def save_run(directory: Path, outcome: RunOutcome) -> None:
    """Write a finished run; result.json comes last and marks it whole."""
    directory.mkdir(parents=True, exist_ok=True)
    draft = directory / f".test_counts.{os.getpid()}"
    save_file(dict(outcome.test_counts), draft)
    os.replace(draft, directory / "test_counts.safetensors")
    write_json(directory / "result.json", run_to_json(outcome.result))


def load_run(directory: Path) -> StoredRun | None:
    """Return the finished run in this folder, or None where there is none yet.

    Raises:
        RunDirectoryError: its files are damaged.
    """
    if not (directory / "result.json").is_file():
        return None
    try:
        counts = load_file(directory / "test_counts.safetensors")
        return StoredRun(run_from_json(read_json(directory / "result.json")), counts)
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise RunDirectoryError(
            f"{directory}: damaged ({error}); delete this folder to redo the run"
        ) from error


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
    changed = [
        f"{key} was {old!r}, now {new!r}"
        for key, old, new in _differences(to_plain(before), to_plain(now))
        if key.split(".")[0] not in FREE_KEYS
    ]
    if changed:
        raise RunDirectoryError(
            f"{directory}: holds a comparison with another configuration ({'; '.join(changed[:5])}); "
            "choose another name=… or delete the folder"
        )


def _differences(before: Any, now: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*before, *now]):
            yield from _differences(before.get(key), now.get(key), f"{prefix}.{key}" if prefix else str(key))
    elif before != now:
        yield prefix, before, now
