"""Kill a whole simulation at random moments, resume it, and compare what it ends with to an undisturbed run.

    python simulations/resume_after_kill/kill.py --kills 20 --output simulations/resume_after_kill/results.json

Every try is `fedner simulate` in a process of its own, killed with SIGKILL at a moment drawn from the seed, anywhere
from its first instruction to its last, and `fedner simulate resume=…` after it; every second try is killed twice.
Kept moments, a server optimizer with moments and a seeded share of the sites make sure that there is something to lose.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors.numpy import load_file

from fedner.files import read_json, write_json
from fedner.records.environment import environment
from fedner.tensors import digest

FEDNER = str(Path(sys.executable).parent / "fedner")
GIVEN = (
    "experiment=smoke",
    "training.threads=1",
    "training.optimizer_state=keep",
    "aggregation=fedadam",
    "federation.fraction=0.67",
    "federation.rounds=20",
)


@dataclass(frozen=True)
class Kill:
    """One process that was killed: when, in seconds from its start, and the last thing in the history then."""

    seconds: float
    last_event: str


@dataclass(frozen=True)
class Try:
    """One run that was killed and resumed; `rounds_again` counts rounds that were played a second time."""

    kills: tuple[Kill, ...]
    identical: bool
    rounds_again: int


def main() -> None:
    options = parse()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        run("simulate", *GIVEN, f"output={folder}", "name=whole")
        duration = time.monotonic() - started
        wanted = fingerprint(Path(folder) / "whole")
        tries: list[Try] = []
        while sum(len(one.kills) for one in tries) < options.kills:
            tries.append(attempt(Path(folder) / f"try-{len(tries)}", duration, chance, 1 + len(tries) % 2, wanted))
            print(json.dumps(asdict(tries[-1])), flush=True)
    result = {
        "kills": sum(len(one.kills) for one in tries),
        "runs": len(tries),
        "identical": sum(one.identical for one in tries),
        "failures": sum(not one.identical for one in tries),
        "rounds_played_again_per_kill": sum(one.rounds_again for one in tries) / sum(len(one.kills) for one in tries),
        "seconds_undisturbed": round(duration, 1),
        "command": ["fedner", "simulate", *GIVEN],
        "seed": options.seed,
        "tries": [asdict(one) for one in tries],
        "environment": environment(1),
    }
    print(f"{result['kills']} kills, {result['identical']} of {result['runs']} runs end with the same bytes")
    if options.output:
        write_json(options.output, result)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


def attempt(path: Path, duration: float, chance: random.Random, num_kills: int, wanted: str) -> Try:
    """Start a run, kill it so many times, and let it end."""
    kills: list[Kill] = []
    while len(kills) < num_kills:
        kill = killed(command(path), path, chance.uniform(0, duration))
        if kill is None:  # it was faster than the undisturbed run
            break
        kills.append(kill)
    if not finished(path):
        run(*command(path))
    events = history(path)
    started = [event["round"] for event in events if event["event"] == "round started"]
    return Try(tuple(kills), fingerprint(path) == wanted, len(started) - len(set(started)))


def command(path: Path) -> Sequence[str]:
    """Return what a user would type: resume where there is a run, else start it."""
    if (path / "config.yaml").exists():
        return ("simulate", f"resume={path}")
    return ("simulate", *GIVEN, f"output={path.parent}", f"name={path.name}")


def killed(arguments: Sequence[str], path: Path, seconds: float) -> Kill | None:
    """Kill a run after some seconds; None if it had ended by then."""
    process = subprocess.Popen([FEDNER, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        events = history(path)
        return Kill(round(seconds, 2), events[-1]["event"] if events else "nothing yet")
    return None


def run(*arguments: str) -> None:
    subprocess.run([FEDNER, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def finished(path: Path) -> bool:
    return (path / "result.json").exists()


def history(path: Path) -> list[dict]:
    file = path / "history.jsonl"
    lines = file.read_text(encoding="utf-8").split("\n")[:-1] if file.exists() else []
    return [json.loads(line) for line in lines]


def fingerprint(path: Path) -> str:
    """Return everything that a run found, but for times: weights, scores of all rounds, test counts by document."""
    found = timeless(read_json(path / "result.json"))
    counts = load_file(path / "test_counts.safetensors")
    weights = load_file(path / "model" / "model.safetensors")
    return json.dumps([found, digest(dict(sorted(counts.items()))), digest(dict(sorted(weights.items())))])


def timeless(value: object) -> object:
    if isinstance(value, dict):
        return {key: timeless(each) for key, each in value.items() if not key.endswith("seconds")}
    return [timeless(each) for each in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
