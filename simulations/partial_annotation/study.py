"""Sites that annotated different types: how much of what naive training loses does fedner's win back?

    python simulations/partial_annotation/study.py --output results.json [overrides of fedner compare]

Federations on the same documents and seeds, each tuned alike by `fedner compare` and scored on the full test set:

    naive    every O taken at its word
    ours     experiment=partial_annotation as it is
    full     every site annotated all four types

`recovered` is (ours - naive) / (full - naive) on strict micro F1, with an interval over test documents and seeds; once
with every type annotated at two sites, and once with MISC at one site only. An interrupted study goes on when started
again.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fedner.config import Arm
from fedner.experiments.study_directory import Unit, run_directory
from fedner.files import read_json, write_json
from fedner.metrics import DocumentCounts, arm_interval, gap_closed_interval
from fedner.records.environment import environment
from fedner.records.results import load_run
from fedner.records.run_directory import read_config

FEDNER = str(Path(sys.executable).parent / "fedner")
NAIVE = ("training.partial=ignore",)
ALL = tuple(f"partition.annotated.site-{site}=[PER,ORG,LOC,MISC]" for site in range(4))
MISC_AT_ONE_SITE = tuple(
    f"partition.annotated.site-{site}=[{types}]"
    for site, types in enumerate(("PER,LOC", "ORG,PER", "LOC,ORG", "MISC,ORG"))
)
FEDERATIONS: dict[str, tuple[str, ...]] = {
    "full": ALL,
    "naive": NAIVE,
    "ours": (),
    "naive_one_site": (*NAIVE, *MISC_AT_ONE_SITE),
    "ours_one_site": MISC_AT_ONE_SITE,
}


def run(name: str, overrides: Sequence[str], output: Path) -> Path:
    """Run or continue one federation; return its study directory."""
    call = [FEDNER, "compare", "experiment=partial_annotation", f"name={name}", f"output={output}", *overrides]
    subprocess.run(call, check=True)
    return output / name


def counts_of(study: Path) -> list[DocumentCounts]:
    """Return the federation's test counts of each seed, all sites together, at the learning rate it chose."""
    found: list[DocumentCounts] = []
    for seed, run_json in sorted(read_json(study / "report" / "metrics.json")["arms"]["federated"]["seeds"].items()):
        stored = load_run(run_directory(study, Unit(Arm.federated), int(seed), run_json["lr"]))
        assert stored is not None, study
        found.append(np.concatenate([stored.test_counts[site] for site in sorted(stored.test_counts)]))
    return found


def results(studies: dict[str, Path]) -> dict[str, object]:
    """Return what is written to results.json."""
    counts = {name: counts_of(study) for name, study in studies.items()}
    config = read_config(studies["ours"] / "config.yaml")
    level = (config.experiment.confidence, config.experiment.bootstrap_samples)

    def recovered(suffix: str) -> dict[str, object]:
        found = gap_closed_interval(counts["full"], counts[f"ours{suffix}"], [counts[f"naive{suffix}"]], *level)
        return dict(found.to_json())

    return {
        "recovered": recovered(""),
        "recovered_one_site": recovered("_one_site"),
        "micro_f1": {name: arm_interval(each, *level).to_json() for name, each in counts.items()},
        "overrides": {name: list(given) for name, given in FEDERATIONS.items()},
        "environment": environment(config.training.threads),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/partial_annotation"))
    options, overrides = parser.parse_known_args()
    studies = {name: run(name, (*given, *overrides), options.runs) for name, given in FEDERATIONS.items()}
    write_json(options.output, results(studies))
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
