"""Faults of `fedner simulate`, from outside: processes that are killed, stopped or hang, disks that fill up."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deployment import command_of, events, tree, wait_until
from report import Found
from safetensors.numpy import load_file

from fedner.files import read_json
from fedner.records.results import RunOutcome
from fedner.tensors import digest

FEDNER = str(Path(sys.executable).parent / "fedner")
SITES = ("alderbrook", "northquay", "stillwater")
ROUNDS = 6
GIVEN = (
    "experiment=smoke",
    "data.institutions=3",
    "training.threads=1",
    "training.optimizer_state=keep",
    "aggregation=fedadam",
    f"federation.rounds={ROUNDS}",
)
WORKERS = "federation.workers=2"
EVERY_SITE = (f"federation.mandatory=[{','.join(SITES)}]", "federation.missed_quorum=retry")
SECONDS = 600.0


@dataclass
class Bench:
    """Where runs go, the chance that draws moments, and what an undisturbed run ends with."""

    folder: Path
    chance: random.Random
    undisturbed: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, RunOutcome] = field(default_factory=dict)
    count: int = 0

    def new(self, *overrides: str) -> "Run":
        """Return a run that has not been started."""
        self.count += 1
        return Run(self.folder / f"run-{self.count}", overrides)

    def whole(self) -> dict[str, str]:
        """Return what an undisturbed run ends with, playing it on first use."""
        if not self.undisturbed:
            run = self.new()
            run.finish()
            self.undisturbed = fingerprint(run.path)
        return self.undisturbed


@dataclass
class Run:
    """One run directory and the process that is at work on it."""

    path: Path
    overrides: tuple[str, ...] = ()
    process: subprocess.Popen | None = None

    def start(self) -> subprocess.Popen:
        """Start the run, or go on with it where it has begun, in a process group of its own."""
        begun = (self.path / "config.yaml").exists()
        given = (f"resume={self.path}",) if begun else (*GIVEN, *self.overrides, f"output={self.path.parent}",
                                                        f"name={self.path.name}")  # fmt: skip
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.errors.open("a") as errors:
            self.process = subprocess.Popen(
                [FEDNER, "simulate", *given], stdout=errors, stderr=errors, start_new_session=True
            )
        return self.process

    @property
    def errors(self) -> Path:
        """What the processes printed."""
        return self.path.with_suffix(".log")

    def until(self, event: str, round_number: int) -> None:
        """Wait until the history tells of an event of a round, or a later one."""
        wait_until(lambda: self.happened(event, round_number) or self.ended(), SECONDS)
        assert not self.ended(), self.errors.read_text()

    def happened(self, event: str, round_number: int) -> bool:
        return any(one["event"] == event and one.get("round", 0) >= round_number for one in events(self.path))

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def workers(self) -> list[int]:
        """Return the ids of the processes in which the sites train."""
        assert self.process is not None
        return [pid for pid in tree(self.process.pid)[1:] if "spawn_main" in command_of(pid)]

    def wait(self) -> int:
        """Return the exit status."""
        assert self.process is not None
        return self.process.wait(timeout=SECONDS)

    def kill(self) -> None:
        """SIGKILL the process that coordinates; its workers end by themselves."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def finish(self) -> None:
        """Start or resume the run and let it come to its end."""
        self.start()
        if self.wait() != 0:
            raise RuntimeError(self.errors.read_text()[-2000:])

    def said(self, text: str) -> bool:
        return text in self.errors.read_text()


def fingerprint(path: Path) -> dict[str, str]:
    """Return everything that a run found, but for times: scores of all rounds, test counts, weights."""
    counts = load_file(path / "test_counts.safetensors")
    weights = load_file(path / "model" / "model.safetensors")
    return {
        "result": json.dumps(timeless(read_json(path / "result.json"))),
        "counts": digest(dict(sorted(counts.items()))),
        "weights": digest(dict(sorted(weights.items()))),
    }


def timeless(value: object) -> object:
    if isinstance(value, dict):
        return {key: timeless(each) for key, each in value.items() if not key.endswith("seconds")}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def rounds_lost(path: Path) -> int:
    """Return how many whole rounds were played a second time; the one in flight at a fault is not whole."""
    whole = [one["round"] for one in events(path) if one["event"] == "round evaluated"]
    return len(whole) - len(set(whole))


def compared(bench: Bench, run: Run, happened: str, equal_expected: bool, ok: bool = True, lost: int = 0) -> Found:
    """Return what a finished run found beside the undisturbed one."""
    equal = fingerprint(run.path) == bench.whole()
    found = rounds_lost(run.path)
    result = "the same bytes" if equal else _difference(bench, run)
    return Found(happened, found, result, ok and found == lost and (equal or not equal_expected))


def _difference(bench: Bench, run: Run) -> str:
    dev = [one["dev"]["micro"]["f1"] for one in read_json(run.path / "result.json")["rounds"] if one["dev"]]
    wanted = [one["dev"]["micro"]["f1"] for one in json.loads(bench.whole()["result"])["rounds"]]
    return f"other bytes: dev F1 {dev[-1]:.3f} after the last round, undisturbed {wanted[-1]:.3f}"


def server_killed(event: str) -> Callable[[Bench], Found]:
    """SIGKILL the coordinating process just after an event of a random round."""

    def fault(bench: Bench) -> Found:
        run = bench.new()
        run.start()
        number = bench.chance.randint(2, ROUNDS - 1)
        run.until(event, number)
        time.sleep(bench.chance.uniform(0, 0.05))
        run.kill()
        last = events(run.path)[-1]
        run.finish()
        return compared(bench, run, f"killed in round {number} after '{last['event']}', resumed", equal_expected=True)

    return fault


def server_killed_while_checkpointing(bench: Bench) -> Found:
    """SIGKILL it when the draft of a checkpoint is seen."""
    run = bench.new()
    run.start()
    folder = run.path / "checkpoints"
    end = time.monotonic() + SECONDS
    seen: list[Path] = []
    while not seen and not run.ended() and time.monotonic() < end:
        seen = [path for path in folder.glob(".round-*") if not path.name.startswith(".round-0001")]
    run.kill()
    left = [path.name for path in folder.glob(".round-*")]
    run.finish()
    happened = f"killed while it wrote {seen[0].name[1:11] if seen else 'nothing'}" + (
        ", half of which was left, resumed" if left else ", resumed"
    )
    return compared(bench, run, happened, equal_expected=True, ok=bool(seen))


def stopped(number: signal.Signals, whole_group: bool = False) -> Callable[[Bench], Found]:
    """Stop it as a person (SIGINT) or a scheduler (SIGTERM) would, within a round."""

    def fault(bench: Bench) -> Found:
        run = bench.new(*[WORKERS] * whole_group)
        process = run.start()
        run.until("reply accepted", bench.chance.randint(2, ROUNDS - 1))
        workers = run.workers()
        (os.killpg if whole_group else os.kill)(process.pid, number)
        status = run.wait()
        told = run.said(f"fedner simulate resume={run.path}") and not run.said("Traceback")
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 60)
        run.finish()
        happened = f"exit status {status}, {'told how to go on' if told else 'did not tell how to go on'}, resumed"
        return compared(bench, run, happened, equal_expected=True, ok=told and status == 130)

    return fault


def worker_killed(*policy: str) -> Callable[[Bench], Found]:
    """SIGKILL a process in which sites train, as a round begins."""

    def fault(bench: Bench) -> Found:
        run = bench.new(WORKERS, *policy)
        run.start()
        number = bench.chance.randint(2, ROUNDS - 1)
        run.until("round started", number)
        os.kill(bench.chance.choice(run.workers()), signal.SIGKILL)
        status = run.wait()
        return compared(bench, run, _refusals(run, status), equal_expected=bool(policy), ok=status == 0)

    return fault


def worker_hung(*policy: str) -> Callable[[Bench], Found]:
    """SIGSTOP a process in which sites train, for good, where there is a deadline."""

    def fault(bench: Bench) -> Found:
        run = bench.new(WORKERS, "federation.deadline_seconds=90", *policy)
        run.start()
        run.until("round started", bench.chance.randint(2, ROUNDS - 1))
        os.kill(bench.chance.choice(run.workers()), signal.SIGSTOP)
        status = run.wait()
        return compared(bench, run, _refusals(run, status), equal_expected=bool(policy), ok=status == 0)

    return fault


def _refusals(run: Run, status: int) -> str:
    refused = [one for one in events(run.path) if one["event"] == "reply refused"]
    again = sum(one["event"] == "quorum missed" for one in events(run.path))
    told = "; ".join(sorted({f"{one['site']} in round {one['round']} ({one['phase']}): {one['reason']}"
                             for one in refused}))  # fmt: skip
    return f"exit status {status}; {told or 'nothing was lost'}" + (f"; round played again {again} times" * bool(again))


def worker_slow(bench: Bench) -> Found:
    """SIGSTOP a process in which sites train and let it go on after a while; there is no deadline."""
    run = bench.new(WORKERS)
    run.start()
    run.until("round started", 3)
    victim = bench.chance.choice(run.workers())
    os.kill(victim, signal.SIGSTOP)
    time.sleep(10)
    os.kill(victim, signal.SIGCONT)
    status = run.wait()
    return compared(bench, run, f"waited for, exit status {status}", equal_expected=True, ok=status == 0)


def disk_full(bench: Bench) -> Found:
    """Fill the disk as a round has been aggregated, so that its checkpoint does not fit any more."""
    with small_disk(bench.folder / "disk") as (folder, kind):
        run = Run(folder / "run")
        process = run.start()
        run.until("round aggregated", 3)
        mend = kind(process.pid)
        status = run.wait()
        mend()
        shown = run.errors.read_text()
        run.finish()
        lines = [line for line in shown.splitlines() if line.startswith("fedner: ")]
        reason = "No space left" if "No space left" in shown else "File too large" if "too large" in shown else "?"
        told = f"fedner simulate resume={run.path}" in shown and "Traceback" not in shown and bool(lines)
        happened = f"exit status {status} ({reason}), {'told how to go on' if told else 'a traceback'}, resumed"
        return compared(bench, run, happened, equal_expected=True, ok=told and status == 1)


@contextmanager
def small_disk(folder: Path) -> Iterator[tuple[Path, Callable[[int], Callable[[], None]]]]:
    """Give a folder and what makes writing there fail; a disk of its own where mounting one is allowed.

    Elsewhere the process is forbidden large files from outside, which fails at the same calls with another reason.
    """
    folder.mkdir()
    mounted = (
        shutil.which("mount")
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True, check=False
        ).returncode
    )
    try:
        yield folder, (lambda _: fill(folder / "filler")) if mounted else forbid_large_files
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> Callable[[], None]:
    with path.open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    filler.write(bytes(size))
            except OSError:
                continue
    return lambda: path.unlink()


def forbid_large_files(pid: int) -> Callable[[], None]:
    import resource

    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    return lambda: None


def checkpoint_truncated(bench: Bench) -> Found:
    """SIGKILL, and half of the newest checkpoint's tensors are lost with the machine."""
    run = bench.new()
    run.start()
    run.until("round evaluated", 3)
    run.kill()
    newest = max((run.path / "checkpoints").glob("round-*")) / "state.safetensors"
    os.truncate(newest, newest.stat().st_size // 2)
    run.finish()
    passed_over = run.said("a newer checkpoint is passed over")
    return compared(bench, run, f"{newest.parent.name} passed over by its digest, resumed from the one before",
                    equal_expected=True, ok=passed_over, lost=1)  # fmt: skip
