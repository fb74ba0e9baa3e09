"""Keeps a group of processes running: starts them, restarts what dies, ends all of them and all that they started.

Each process leads a process group, so that what it starts in turn ends with it. What they print goes to one log file
that is rotated by size. Linux ends them as well when the supervisor itself is killed; elsewhere they would be left.
"""

import contextlib
import ctypes
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType

from fedner.deployment.service.event_lines import log_event

LOG_BYTES = 10 * 1024**2
LOG_FILES = 7
"""A log is cut at `LOG_BYTES`; so many older ones are kept."""
GRACE_SECONDS = 20.0
"""How long processes may take to end before they are killed."""
STEADY_SECONDS = 30.0
"""A process that ran so long worked, and is restarted at once; one that dies sooner is waited with, ever longer. A
SuperNode that the server turns away ends within seconds, even on a busy machine."""
LONGEST_WAIT_SECONDS = 60.0
_POLL_SECONDS = 0.2
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # loaded here, since between fork and exec nothing may be


@dataclass(frozen=True)
class Program:
    """A process to keep running; `name` is its name in event lines, `sockets` are open files that it is handed."""

    name: str
    command: Sequence[str]
    sockets: Sequence[int] = ()


@dataclass
class _Running:
    """A program's process now, and when it is to be started (again), on the monotonic clock."""

    program: Program
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0
    failures: int = 0


@dataclass
class Supervisor:
    """Runs programs until SIGTERM or SIGINT.

    Args:
        programs: in the order in which they are started; they end in the opposite order.
        environment: theirs.
        folder: their working directory.
        log: the file that has what they print.
        ready: asked after a start until it says yes; None is ready at once.
        max_failures: give up after so many deaths in a row of one program; None never does.
    """

    programs: Sequence[Program]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    ready: Callable[[], bool] | None = None
    max_failures: int | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> bool:
        """Run until stopped; return False if a program does not stay up."""
        running = [_Running(program) for program in self.programs]
        log = _open_log(self.log)
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        reported_ready = self.ready is None
        try:
            while not self._stopping.is_set():
                for one in running:
                    if one.process is None and time.monotonic() >= one.due:
                        self._start(one, log)
                    elif one.process is not None and one.process.poll() is not None:
                        self._note_death(one)
                        if self.max_failures is not None and one.failures >= self.max_failures:
                            log_event("given-up", process=one.program.name, log=self.log)
                            return False
                if not reported_ready and self.ready is not None and self.ready():
                    reported_ready = True
                    log_event("ready")
                self._stopping.wait(_POLL_SECONDS)
            return True
        finally:
            end(one.process for one in reversed(running))
            log_event("stopped")
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop(self) -> None:
        """End `run`, from another thread."""
        self._stopping.set()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._stopping.is_set():
            log_event("stopping", signal=signal.Signals(number).name)
        self._stopping.set()

    def _start(self, one: _Running, log: logging.Logger) -> None:
        one.process = subprocess.Popen(
            one.program.command, env=dict(self.environment), cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            pass_fds=one.program.sockets,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )  # fmt: skip
        one.started = time.monotonic()
        threading.Thread(target=_copy, args=(one.program.name, one.process, log), daemon=True).start()
        log_event("started", process=one.program.name, pid=one.process.pid)

    def _note_death(self, one: _Running) -> None:
        assert one.process is not None
        signal_group(one.process.pid, signal.SIGKILL)  # what it had started cannot go on without it
        steady = time.monotonic() - one.started > STEADY_SECONDS
        one.failures = 1 if steady else one.failures + 1
        wait = 0.0 if steady else wait_seconds(one.failures)
        log_event("died", process=one.program.name, status=one.process.returncode, restart_in_seconds=f"{wait:g}")
        one.process, one.due = None, time.monotonic() + wait


def wait_seconds(failures: int) -> float:
    """Return how long a program is waited with after so many deaths in a row, the last one soon after its start."""
    return min(2.0 ** (failures - 1), LONGEST_WAIT_SECONDS)


def end(processes: Iterable[subprocess.Popen[bytes] | None]) -> None:
    """End processes and all that they started, first with SIGTERM, what is left with SIGKILL."""
    there = [process for process in processes if process is not None]
    deadline = time.monotonic() + GRACE_SECONDS
    for process in there:
        signal_group(process.pid, signal.SIGTERM)
    while any(_group_lives(process) for process in there) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    for process in there:
        signal_group(process.pid, signal.SIGKILL)
        process.wait()


def signal_group(leader: int, number: int) -> None:
    """Send a signal to a process group, which may have gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _group_lives(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # a leader that nobody waited for would count as alive
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _copy(name: str, process: subprocess.Popen[bytes], log: logging.Logger) -> None:
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            text = _COLOUR.sub("", line.decode("utf-8", "replace").rstrip())
            if text.startswith("time="):  # ours already
                print(text, flush=True)
            log.info("%s | %s", name, text)


def _open_log(path: Path) -> logging.Logger:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = logging.Logger(f"{__name__}.{path}")
    handler = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    return log
