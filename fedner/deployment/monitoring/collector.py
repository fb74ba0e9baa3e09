"""Collects the status of a federation at the server, from Flower's database and the histories of runs."""

import json
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fedner.deployment.monitoring.run_state import History
from fedner.deployment.monitoring.status import RunView, SiteConnection, Status
from fedner.flower.link_state import LinkState, Node, newest_runs, registered_nodes
from fedner.flower.runs import SubmittedRun
from fedner.records.run_directory import RunDirectory

LIMIT = 20
"""Number of runs that are shown, those with the latest events."""
FRESH_SECONDS = 1.0
"""How long a status is reused, however many viewers ask for it."""


@dataclass
class _Followed:
    """A history, its file (inode), and the number of bytes of it that have been read."""

    history: History
    file: int
    taken: int = 0


class StatusCollector:
    """Collects the coordinator's status of a federation; may be called from any thread.

    Args:
        federation: its name.
        runs: the folder of run directories.
        state: Flower's database.
    """

    def __init__(self, federation: str, runs: Path, state: LinkState) -> None:
        self._federation, self._runs, self._state = federation, runs, state
        self._followed: dict[Path, _Followed] = {}
        self._lock = threading.Lock()
        self._last: tuple[float, Status] | None = None

    def __call__(self) -> Status:
        """Return the status, at most `FRESH_SECONDS` old."""
        with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > FRESH_SECONDS:
                self._last = time.monotonic(), self._look(datetime.now(UTC))
            return self._last[1]

    def _look(self, now: datetime) -> Status:
        sites = [_connection(node) for node in registered_nodes(self._state)]
        return Status(
            federation=self._federation,
            moment=now.isoformat(timespec="seconds"),
            viewer=None,
            registered=len(sites),
            online=sum(site.online for site in sites),
            sites=tuple(sorted(sites, key=lambda site: site.name)),
            runs=tuple(self._view_runs(now)),
        )

    def _view_runs(self, now: datetime) -> list[RunView]:
        # The newest of each name.
        processes = {run.name or str(run.number): run for run in reversed(newest_runs(self._state, LIMIT))}
        every = sorted(self._runs.glob("[!.]*/history.jsonl"), key=_touched)
        found = every[-LIMIT:]
        self._followed = {path: each for path, each in self._followed.items() if path in found}
        views = [_view(self._follow(path), RunDirectory(path.parent), processes, now) for path in found]
        begun = {view.progress.name: view.progress.began or "" for view in views}
        # Runs without a directory: not begun yet, or ended before, as one whose configuration is refused.
        bare = processes.keys() - {path.parent.name for path in every}
        views += [History(name).view(False, run.status, run.details, now)
                  for name, run in processes.items() if name in bare]  # fmt: skip
        begun |= {name: processes[name].submitted for name in bare}
        return sorted(views, key=lambda view: begun[view.progress.name], reverse=True)

    def _follow(self, path: Path) -> History:
        """Read the lines that were appended to a history; one that was replaced is read from its start."""
        with path.open("rb") as file:
            stat = path.stat()
            followed = self._followed.get(path)
            if followed is None or followed.file != stat.st_ino or followed.taken > stat.st_size:
                followed = _Followed(History(path.parent.name), stat.st_ino)
            file.seek(followed.taken)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]  # a last line may be half written yet
        for line in whole.splitlines():
            followed.history.take(json.loads(line))
        followed.taken += len(whole)
        self._followed[path] = followed
        return followed.history


def _view(history: History, run: RunDirectory, processes: dict[str, SubmittedRun], now: datetime) -> RunView:
    process = processes.get(run.name)
    status, details = (process.status, process.details) if process else (None, "")
    return history.view(run.finished, status, details, now)


def _connection(node: Node) -> SiteConnection:
    seen = None if node.seen is None else datetime.fromtimestamp(node.seen, UTC).isoformat(timespec="seconds")
    return SiteConnection(name=node.name, online=node.online, seen=seen)


def _touched(path: Path) -> tuple[float, str]:
    return path.stat().st_mtime, path.parent.name
