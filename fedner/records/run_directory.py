"""The run directory: config, environment, history, checkpoints and the best state so far.

    config.yaml         the resolved config; `fedner simulate --from <run>` runs it again
    contract.yaml       the label contract
    environment.json    Python, platform, packages, processor
    history.jsonl       one JSON object a line, appended and flushed as it happens
    audit.jsonl         in a deployment, admissions and messages sent and received, see `fedner.audit.trail`
    checkpoints/        the newest whole rounds and the best one, see `fedner.server.checkpoints`
    tensorboard/        TensorBoard's files, where asked for
    tracking/           files of other trackers, see `fedner.tracking`
    sites/              memory of simulated sites between rounds, see `fedner.site.memory`
    replies/            during a round, replies beyond the memory limit, see `fedner.server.aggregation.buffer`

Every file but the history is written beside its place and renamed, so that a reader, or a run that was killed, sees the
old content or the new and never half of either. Nothing is pickled.
"""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from fedner.config import Config, differences, from_plain, to_plain
from fedner.config.knobs import keys
from fedner.data.labels import LabelContract, read_contract, write_contract
from fedner.errors import RunDirectoryError
from fedner.files import replacing, write_json, write_text
from fedner.records.environment import environment
from fedner.records.events import Event

RESUMABLE_KEYS = keys(Config, lambda knob: knob.resumable)
"""What may change when a run is resumed: nothing that a whole round's result depends on."""


@dataclass(frozen=True)
class RunDirectory:
    """A directory that `create_run` made, or `open_run` or `resume_run` checked; only the last is `resumed`.

    `followers` receive every event after it is written; they must not raise.
    """

    path: Path
    resumed: bool = False
    followers: tuple[Callable[[Event], None], ...] = ()

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.path.name

    @property
    def history_path(self) -> Path:
        """The event log."""
        return self.path / "history.jsonl"

    @property
    def checkpoints_path(self) -> Path:
        """Checkpoints of whole rounds."""
        return self.path / "checkpoints"

    @property
    def sites_path(self) -> Path:
        """Memory of simulated sites."""
        return self.path / "sites"

    @property
    def replies_path(self) -> Path:
        """Replies of the running round beyond the memory limit."""
        return self.path / "replies"

    @property
    def model_path(self) -> Path:
        """Where the final model goes, as a Hugging Face directory."""
        return self.path / "model"

    def record(self, event: Event) -> None:
        """Append one event with the time to the history, flush it, and pass it to the followers."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": moment, "event": event.event, **asdict(event)}
        try:
            with self.history_path.open("a", encoding="utf-8") as history:
                history.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            raise RunDirectoryError(
                f"{self.history_path}: cannot write the history ({error.strerror}); mend that and resume the run"
            ) from error
        for follower in self.followers:
            follower(event)

    def mend_history(self) -> None:
        """Cut off a last line that a crash left half written, so that the next one starts on its own line."""
        content = self.history_path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.history_path, whole)

    def history(self) -> list[dict[str, Any]]:
        """Return the events so far; a last line cut short by a crash is left out."""
        lines = self.history_path.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines[:-1]]

    def drop_checkpoints(self) -> None:
        """Remove checkpoints and site memory, which only a resumed run would need."""
        for path in (self.checkpoints_path, self.sites_path):
            shutil.rmtree(path, ignore_errors=True)

    @property
    def finished(self) -> bool:
        """Whether the run came to its end; its result is the last thing that is written."""
        return (self.path / "result.json").is_file()


def create_run(path: Path, config: Config, contract: LabelContract, restart: bool = False) -> RunDirectory:
    """Make a run directory and write config, contract and environment.

    Args:
        path: the directory; new or empty.
        config: the resolved config.
        contract: the label contract.
        restart: an unfinished run that lies there may be removed.

    Raises:
        RunDirectoryError: the directory holds a run already, or files of something else.
    """
    if restart and (path / "history.jsonl").exists() and not RunDirectory(path).finished:
        shutil.rmtree(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        held = "a run already" if (path / "history.jsonl").exists() else "files of something else"
        raise RunDirectoryError(
            f"{path}: expected a new or empty directory for the run, got {held}; choose another name"
        )
    place = path.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    with replacing(place) as draft:  # a directory that a killed process half made would be neither new nor resumable
        draft.mkdir()
        write_config(config, draft / "config.yaml")
        write_contract(contract, draft / "contract.yaml")
        write_json(draft / "environment.json", environment(config.training.threads))
        (draft / "history.jsonl").touch()
    return RunDirectory(path)


def resume_run(path: Path, config: Config, contract: LabelContract) -> RunDirectory:
    """Open the directory of a run that is to be resumed with this config.

    Raises:
        RunDirectoryError: it is no run directory, the run is finished, or the config would lead to another result.
    """
    run = open_run(path)
    before = read_config(path / "config.yaml")
    changed = differences(before, config, free=RESUMABLE_KEYS)
    if read_contract(path / "contract.yaml").digest != contract.digest and not changed:
        changed = ["the label contract's file has another content"]
    if changed:
        raise RunDirectoryError(
            f"{path}: a resumed run must keep its config, but {'; '.join(changed[:5])}; leave that as it was, or "
            "start a new run"
        )
    done, wanted = before.federation.rounds, config.federation.rounds
    if wanted < done:
        raise RunDirectoryError(f"{path}: federation.rounds was {done}, now {wanted}; a resumed run may only get more")
    if run.finished and wanted == done:
        raise RunDirectoryError(
            f"{path}: the run is finished after {done} rounds; ask for more with federation.rounds=N, or look at "
            f"{path / 'report'}"
        )
    run.mend_history()
    shutil.rmtree(run.replies_path, ignore_errors=True)  # of a round that was killed
    write_config(config, path / "config.yaml")
    return replace(run, resumed=True)


def lock_run(path: Path) -> AbstractContextManager[object]:
    """Lock a run directory against other processes; the lock is released when the process exits, even on a crash.

    Raises:
        RunDirectoryError: another process holds it.
    """
    try:
        return FileLock(path / ".lock").acquire(timeout=0)
    except Timeout as error:
        raise RunDirectoryError(f"{path}: another process is at work on this run; wait for it or stop it") from error


def open_run(path: Path) -> RunDirectory:
    """Open a directory that `create_run` made.

    Raises:
        RunDirectoryError: it is missing, or not a run directory.
    """
    missing = [name for name in ("config.yaml", "contract.yaml", "history.jsonl") if not (path / name).is_file()]
    if missing:
        raise RunDirectoryError(f"{path}: expected a run directory, got one without {', '.join(missing)}")
    return RunDirectory(path)


def write_config(config: Config, path: Path) -> None:
    """Write the resolved config so that it can be run again."""
    write_text(path, yaml.safe_dump(to_plain(config), sort_keys=False, allow_unicode=True))


def read_config(path: Path) -> Config:
    """Read what `write_config` wrote.

    Raises:
        RunDirectoryError: the file is missing or is not YAML.
        ConfigError: a key or a value does not fit this version of fedner.
    """
    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise RunDirectoryError(f"{path}: expected the config of a run, got none that can be read ({error})") from error
    return from_plain(plain)
