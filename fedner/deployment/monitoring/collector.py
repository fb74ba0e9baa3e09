"""What the server knows, put together: which sites are connected, which runs Flower runs, what their histories say."""

import json
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flwr.common.constant import HEARTBEAT_PATIENCE, NOOP_FLWR_AID
from flwr.proto.node_pb2 import NodeInfo
from flwr.server.superlink.linkstate import LinkState
from flwr.supercore.constant import NodeStatus
from flwr.supercore.run import Run

from fedner.deployment.monitoring.flower_runs import name_of, state_of
from fedner.deployment.monitoring.run_state import History
from fedner.deployment.monitoring.status import RunView, SiteConnection, Status
from fedner.records.run_directory import RunDirectory

LIMIT = 20
"""So many runs are shown, those in which something happened last."""
FRESH_SECONDS = 1.0
"""However many look, and however often, the server itself looks no more often than this."""


@dataclass
class _Followed:
    """A history, and how many bytes of which file of it have been taken."""

    history: History
    file: int
    taken: int = 0


class Lookout:
    """Sees the federation as the coordinator may; from any thread.

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
        """Return how the federation stands, at most `FRESH_SECONDS` ago."""
        with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > FRESH_SECONDS:
                self._last = time.monotonic(), self._look(datetime.now(UTC))
            return self._last[1]

    def _look(self, now: datetime) -> Status:
        nodes = self._state.get_node_info(owner_aids=[NOOP_FLWR_AID])
        sites = [_connection(node) for node in nodes if node.status != NodeStatus.UNREGISTERED]
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
        processes = self._processes()
        every = sorted(self._runs.glob("[!.]*/history.jsonl"), key=_touched)
        found = every[-LIMIT:]
        self._followed = {path: each for path, each in self._followed.items() if path in found}
        views = [_view(self._follow(path), RunDirectory(path.parent), processes, now) for path in found]
        begun = {view.progress.name: view.progress.began or "" for view in views}
        # Runs without a directory: not begun yet, or ended before, as one whose configuration is refused.
        bare = processes.keys() - {path.parent.name for path in every}
        views += [History(name).view(False, _status(run), run.status.details, now)
                  for name, run in processes.items() if name in bare]  # fmt: skip
        begun |= {name: processes[name].pending_at for name in bare}
        return sorted(views, key=lambda view: begun[view.progress.name], reverse=True)

    def _processes(self) -> dict[str, Run]:
        """Return the newest of Flower's runs of each name."""
        runs = self._state.get_run_info(flwr_aids=[NOOP_FLWR_AID], order_by="pending_at", limit=LIMIT, ascending=False)
        return {name_of(str(run.override_config.get("config", ""))) or str(run.run_id): run for run in reversed(runs)}

    def _follow(self, path: Path) -> History:
        """Take what a history has more than before; a directory that was made anew is followed anew."""
        with path.open("rb") as file:
            told = path.stat()
            followed = self._followed.get(path)
            if followed is None or followed.file != told.st_ino or followed.taken > told.st_size:
                followed = _Followed(History(path.parent.name), told.st_ino)
            file.seek(followed.taken)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]  # a last line may be half written yet
        for line in whole.splitlines():
            followed.history.take(json.loads(line))
        followed.taken += len(whole)
        self._followed[path] = followed
        return followed.history


def _view(history: History, run: RunDirectory, processes: dict[str, Run], now: datetime) -> RunView:
    process = processes.get(run.name)
    details = process.status.details if process else ""
    return history.view(run.finished, _status(process) if process else None, details, now)


def _status(run: Run) -> str:
    return state_of(run.status.status, run.status.sub_status)


def _connection(node: NodeInfo) -> SiteConnection:
    online = node.status == NodeStatus.ONLINE
    # Flower notes until when a node counts as online; its last heartbeat was two intervals before.
    seen = node.online_until - (HEARTBEAT_PATIENCE * node.heartbeat_interval if online else 0.0)
    moment = datetime.fromtimestamp(seen, UTC).isoformat(timespec="seconds") if node.online_until else None
    return SiteConnection(name=node.name, online=online, seen=moment)


def _touched(path: Path) -> tuple[float, str]:
    return path.stat().st_mtime, path.parent.name
