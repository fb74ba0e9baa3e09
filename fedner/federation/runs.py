"""The run directory: what was asked, where it ran, what happened, and the best state so far.

    config.yaml         the resolved config; `fedner simulate --from <run>` runs it again
    contract.yaml       the label contract
    environment.json    Python, platform, packages, processor
    history.jsonl       one JSON object a line, appended and flushed as it happens
    checkpoints/        round-0003/{state.safetensors, checkpoint.json} and best.json, which names the best of them

Every file but the history is written beside its place and renamed, so that a reader, or a run that was killed, sees the
old content or the new and never half of either. Nothing is pickled.
"""

import json
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file  # pyright: ignore[reportUnknownVariableType]

from fedner.config import Config, from_plain, to_plain
from fedner.data.labels import LabelContract, write_contract
from fedner.errors import RunDirectoryError
from fedner.federation.events import Event, RunFinished
from fedner.results import read_json, write_json
from fedner.state import State, digest

PACKAGES = ("fedner", "flwr", "torch", "transformers", "tokenizers", "datasets", "numpy", "safetensors", "ray")
"""Packages whose versions can change a result; those that are installed are recorded."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What is known of one round's global state; `state_digest` is checked when the state is loaded."""

    round: int
    dev_f1: float
    state_digest: str
    contract: str


@dataclass(frozen=True)
class RunDirectory:
    """A directory that `create_run` made or `open_run` checked."""

    path: Path

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.path.name

    @property
    def history_path(self) -> Path:
        """The event log."""
        return self.path / "history.jsonl"

    @property
    def model_path(self) -> Path:
        """Where the final model goes, as a Hugging Face directory."""
        return self.path / "model"

    def record(self, event: Event) -> None:
        """Append one event to the history, with the time, and flush it."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **asdict(event)}
        with self.history_path.open("a", encoding="utf-8") as history:
            history.write(json.dumps(line, ensure_ascii=False) + "\n")

    def history(self) -> list[dict[str, Any]]:
        """Return the events so far; a last line cut short by a crash is left out."""
        lines = self.history_path.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines[:-1]]

    def save_best(self, state: State, checkpoint: Checkpoint) -> None:
        """Write the state as the best so far and remove the one it replaces."""
        folder = self.path / "checkpoints"
        former = self._best_name()
        name = f"round-{checkpoint.round:04d}"
        draft = folder / f".{name}.{os.getpid()}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        save_file(state, draft / "state.safetensors")
        write_json(draft / "checkpoint.json", {**asdict(checkpoint), "names": list(state)})
        shutil.rmtree(folder / name, ignore_errors=True)
        os.replace(draft, folder / name)
        write_json(folder / "best.json", {"checkpoint": name})
        if former is not None and former != name:
            shutil.rmtree(folder / former, ignore_errors=True)

    def load_best(self) -> tuple[Checkpoint, State]:
        """Read the best state so far.

        Raises:
            RunDirectoryError: there is none, or its bytes are not those that were written.
        """
        name = self._best_name()
        if name is None:
            raise RunDirectoryError(f"{self.path}: wanted a checkpoint of the best round, found none")
        folder = self.path / "checkpoints" / name
        told = read_json(folder / "checkpoint.json")
        try:
            tensors = load_file(folder / "state.safetensors")
            state = {key: np.ascontiguousarray(tensors[key], dtype=np.float32) for key in told.pop("names")}
            checkpoint = Checkpoint(**told)
        except (OSError, SafetensorError, KeyError, TypeError) as error:
            raise RunDirectoryError(
                f"{folder}: wanted a checkpoint, found one that cannot be read ({error})"
            ) from error
        if digest(state) != checkpoint.state_digest:
            raise RunDirectoryError(f"{folder}: the tensors are not those that were written; the file was altered")
        return checkpoint, state

    def drop_checkpoints(self) -> None:
        """Remove the checkpoints, such as those of one run among the many of a study."""
        shutil.rmtree(self.path / "checkpoints", ignore_errors=True)

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return any(line["event"] == RunFinished.event for line in self.history())

    def _best_name(self) -> str | None:
        path = self.path / "checkpoints" / "best.json"
        return str(read_json(path)["checkpoint"]) if path.exists() else None


def create_run(path: Path, config: Config, contract: LabelContract, restart: bool = False) -> RunDirectory:
    """Make a run directory and write down what is about to run.

    Args:
        path: the directory; new or empty.
        config: the resolved config.
        contract: the label contract.
        restart: an unfinished run that lies there may be removed.

    Raises:
        RunDirectoryError: the directory holds a run already, or files of something else.
    """
    if restart and (path / "history.jsonl").exists() and not open_run(path).finished:
        shutil.rmtree(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        held = "a run already" if (path / "history.jsonl").exists() else "files of something else"
        raise RunDirectoryError(
            f"{path}: wanted a new or empty directory for the run, found {held}; choose another name"
        )
    path.mkdir(parents=True, exist_ok=True)
    write_config(config, path / "config.yaml")
    write_contract(contract, path / "contract.yaml")
    write_json(path / "environment.json", environment(config.training.threads))
    (path / "history.jsonl").touch()
    return RunDirectory(path)


def open_run(path: Path) -> RunDirectory:
    """Open a directory that `create_run` made.

    Raises:
        RunDirectoryError: it is missing, or not a run directory.
    """
    missing = [name for name in ("config.yaml", "contract.yaml", "history.jsonl") if not (path / name).is_file()]
    if missing:
        raise RunDirectoryError(f"{path}: wanted a run directory, found one without {', '.join(missing)}")
    return RunDirectory(path)


def write_config(config: Config, path: Path) -> None:
    """Write the resolved config so that it can be run again."""
    text = yaml.safe_dump(to_plain(config), sort_keys=False, allow_unicode=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)


def read_config(path: Path) -> Config:
    """Read what `write_config` wrote.

    Raises:
        RunDirectoryError: the file is missing or is not YAML.
        ConfigError: a key or a value does not fit this version of fedner.
    """
    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise RunDirectoryError(f"{path}: wanted the config of a run, found none that can be read ({error})") from error
    return from_plain(plain)


def environment(threads: int | None) -> Mapping[str, Any]:
    """Return what beside the config decides bytes and speed: versions, platform, processor, threads."""
    return {
        "python": platform.python_version(),
        "platform": " ".join([platform.system(), platform.machine(), *platform.libc_ver()]),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads if threads is not None else os.cpu_count(),
        "packages": {name: package_version(name) for name in PACKAGES if package_version(name) is not None},
    }


def package_version(name: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def absolute_paths(config: Config, folder: Path) -> Config:
    """Return the config with every path of the user's made absolute, seen from `folder`.

    Sites may run in processes with another working directory. Names that are not paths stay as they are: a model or a
    data set that is no folder there is taken for a hub name.
    """
    plain = to_plain(config)
    data, model = plain["data"], plain["model"]
    for key in ("root", "contract_file"):
        if data.get(key):
            data[key] = str(folder / data[key])
    for key in ("train", "dev", "test"):
        if isinstance(data.get(key), list):
            data[key] = [str(folder / name) for name in data[key]]
    if data.get("path") and (folder / data["path"]).is_dir():
        data["path"] = str(folder / data["path"])
    if (folder / model["name"]).is_dir():
        model["name"] = str(folder / model["name"])
    plain["federation"]["public_dev"] = [str(folder / name) for name in plain["federation"]["public_dev"]]
    plain["output"] = str(folder / plain["output"])
    return from_plain(plain)


def new_run_path(config: Config, command: str) -> Path:
    """Return where a run goes: `output`/`name`, or a name from the command, the data and the time if it has none."""
    if config.name is not None:
        return Path(config.output) / config.name
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return Path(config.output) / f"{command}-{config.data.kind}-{stamp}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
