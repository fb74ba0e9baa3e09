"""Print the state digests of small runs: two commits that compute the same print the same lines.

    python benchmarks/digests.py > digests.txt

Run it before and after a change that must not change a result. Every case is the command line's own, in a process of
its own and with one thread a site; the killed one is ended by SIGKILL once its second round is on disk, and resumed.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FEDNER = [sys.executable, "-c", "import sys; from fedner.cli import main; sys.exit(main())"]
SMOKE = ("experiment=smoke", "training.threads=1")
SIMULATIONS = {
    "fedavg": (),
    "scaffold, kept moments": ("training=scaffold", "training.optimizer_state=keep"),
    "personal head": ("model.personal=[classifier]",),
    "two workers": ("federation.workers=2",),
    "fedadam, sampled sites": ("aggregation=fedadam", "federation.fraction=0.67"),
    "trimmed mean": ("aggregation=trimmed_mean",),
    "fedprox": ("training=fedprox",),
    "feddyn": ("training=feddyn", "aggregation=feddyn"),
}
KILLED = ("training.optimizer_state=keep", "federation.rounds=8")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed in (0, 1):
            for case, overrides in SIMULATIONS.items():
                run = folder / f"{case.replace(' ', '-').replace(',', '')}-{seed}"
                fedner("simulate", *SMOKE, *overrides, f"seed={seed}", f"output={folder}", f"name={run.name}")
                report(f"{case}, seed {seed}", run)
        fedner("simulate", *SMOKE, *KILLED, f"output={folder}", "name=whole")
        report("undisturbed", folder / "whole")
        kill_after_two_rounds(folder)
        fedner("simulate", f"resume={folder / 'killed'}")
        report("killed and resumed", folder / "killed")
        fedner("compare", *SMOKE, f"output={folder}", "name=study", "experiment.seeds=[0,1]")
        for result in sorted((folder / "study" / "arms").rglob("result.json")):
            report(str(result.parent.relative_to(folder)), result.parent)


def fedner(*arguments: str) -> None:
    done = subprocess.run([*FEDNER, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"fedner {' '.join(arguments)}\n{done.stdout}{done.stderr}")


def kill_after_two_rounds(folder: Path) -> None:
    command = [*FEDNER, "simulate", *SMOKE, *KILLED, f"output={folder}", "name=killed"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (folder / "killed" / "checkpoints" / "round-0002").is_dir():
        if process.poll() is not None:
            sys.exit("the run ended before it could be killed")
        time.sleep(0.01)
    process.kill()
    process.wait()


def report(case: str, run: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    micro = result["test"]["micro"]
    print(f"{case}: {result['state_digest']} test tp {micro['tp']} fp {micro['fp']} fn {micro['fn']}", flush=True)


if __name__ == "__main__":
    os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
    main()
