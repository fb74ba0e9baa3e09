"""Does an algorithm made for sites that differ do better than FedAvg where they differ?

    python simulations/algorithms/study.py --output results.json [overrides of fedner compare]

FedProx, server Adam and SCAFFOLD join the study of conll2003_skew: the same documents, sites, passes and seeds, at the
learning rate that FedAvg chose there on dev. Pooled and local training and FedAvg are that study's own runs, unpacked
from its archive. An interrupted study goes on when started again.

For each: the first round whose dev F1 is 95 % of the pooled arm's best of the same seed, and from the test set the gap
closed and the difference from FedAvg, with intervals over documents and seeds (over documents).
"""

import argparse
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fedner.config import Arm
from fedner.experiments.study_directory import Unit, run_directory
from fedner.files import read_json, write_json
from fedner.metrics import DocumentCounts, arm_interval, gap_closed_interval, paired_bootstrap
from fedner.records.environment import environment
from fedner.records.results import StoredRun, load_run

FEDNER = str(Path(sys.executable).parent / "fedner")
SKEW = Path(__file__).parent.parent / "conll2003_skew"
SHARE = 0.95
LR = 2e-4
"""What FedAvg chose on dev."""

FEDAVG = "conll2003_skew"
ALGORITHMS: dict[str, tuple[str, ...]] = {
    "fedprox": ("training=fedprox", "training.prox_mu=0.01"),
    "fedadam": ("aggregation=fedadam", "aggregation.server_lr=3e-3"),
    "scaffold": ("training=scaffold",),
}


def run(name: str, overrides: Sequence[str], output: Path) -> None:
    """Run or continue an algorithm."""
    fixed = (f"name={name}", f"output={output}", "experiment.arms=[federated]", f"experiment.lr_grid=[{LR:g}]")
    subprocess.run([FEDNER, "compare", "experiment=conll2003_skew", *fixed, *overrides], check=True)


def stored(study: Path, unit: Unit, lr_of_seed: Mapping[str, float]) -> list[StoredRun]:
    """Return a unit's runs in the order of the seeds."""
    found: list[StoredRun] = []
    for seed, lr in sorted(lr_of_seed.items()):
        one = load_run(run_directory(study, unit, int(seed), lr))
        if one is None:
            raise SystemExit(f"{study}: expected {unit.label} with seed {seed}, got none; run the study to its end")
        found.append(one)
    return found


def pooled(runs: Sequence[StoredRun]) -> list[DocumentCounts]:
    """Return each run's test counts, all sites together."""
    return [np.concatenate([one.test_counts[site] for site in sorted(one.test_counts)]) for one in runs]


def dev(one: StoredRun) -> list[float]:
    """Return dev F1 after each round."""
    return [entry.dev.micro.f1 for entry in one.result.rounds if entry.dev is not None]


def rounds_to(share: float, run: StoredRun, pooled_run: StoredRun) -> int | None:
    """Return the first round that reaches a share of the pooled run's best dev F1."""
    wanted = share * max(dev(pooled_run))
    return next((number for number, f1 in enumerate(dev(run), start=1) if f1 >= wanted), None)


def results(runs: Path) -> dict[str, object]:
    """Return what is written to results.json."""
    arms = read_json(SKEW / "results.json")["arms"]
    lr = {seed: found["lr"] for seed, found in arms["centralized"]["seeds"].items()}
    central = stored(runs / FEDAVG, Unit(Arm.centralized), lr)
    local = [
        pooled(stored(runs / FEDAVG, Unit(Arm.local, site), {s: one["lr"] for s, one in found["seeds"].items()}))
        for site, found in arms["local"]["sites"].items()
    ]
    federated = {
        name: stored(runs / folder, Unit(Arm.federated), dict.fromkeys(lr, LR))
        for name, folder in (("fedavg", FEDAVG), *((name, name) for name in ALGORITHMS))
    }
    plain = pooled(federated["fedavg"])

    def row(name: str, found: list[StoredRun]) -> dict[str, object]:
        counts = pooled(found)
        other = {} if name == "fedavg" else {"minus_fedavg": asdict(paired_bootstrap(counts, plain))}
        return {
            "overrides": list(ALGORITHMS.get(name, ())),
            "best_dev_f1": [max(dev(one)) for one in found],
            "rounds_to_95_percent": [rounds_to(SHARE, *pair) for pair in zip(found, central, strict=True)],
            "test_micro_f1": arm_interval(counts).to_json(),
            "gap_closed": gap_closed_interval(pooled(central), counts, local).to_json(),
            **other,
        }

    return {
        "algorithms": {name: row(name, found) for name, found in federated.items()},
        "pooled_best_dev_f1": [max(dev(one)) for one in central],
        "lr": LR,
        "environment": environment(1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/algorithms"))
    options, overrides = parser.parse_known_args()
    if not (options.runs / FEDAVG).exists():
        options.runs.mkdir(parents=True, exist_ok=True)
        with tarfile.open(SKEW / "runs.tar.gz") as archive:
            archive.extractall(options.runs, filter="data")
    for name, given in ALGORITHMS.items():
        run(name, (*given, *overrides), options.runs)
    write_json(options.output, results(options.runs))
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
