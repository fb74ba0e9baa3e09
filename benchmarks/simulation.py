"""What federating costs on one machine: wall time of the federated over the centralized arm, for the same examples.

    python benchmarks/simulation.py --rounds 3 --output benchmarks/results/simulation.json

Both arms train on the demo's text (1,200 CoNLL-2003 sentences, four sites, MiniLM) in this process, in turn, A B A B; a
round of each trains on every document once and scores the dev documents once. Start-up (model, encodings, handshake) is
told apart; the first pair is a warm-up and is not counted.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
from pathlib import Path

from fedner.cli.compose import run_composed
from fedner.config import Config
from fedner.data.simulated_sites import load_sites
from fedner.experiments.local_training import pooled_learner, train_alone
from fedner.learning.workspace import workspace
from fedner.records.progress import Silent
from fedner.records.results import RunResult
from fedner.simulation.running import run_of_study


def main() -> None:
    options = parse()
    found: list[Config] = []
    run_composed("config", ["experiment=demo", f"federation.rounds={options.federated_rounds}"], found.append)
    pairs = [run_pair(found[0]) for _ in range(options.rounds + 1)][1:]
    ratios = [federated["round_seconds"] / centralized["round_seconds"] for centralized, federated in pairs]
    result = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "pairs": [{"centralized": centralized, "federated": federated} for centralized, federated in pairs],
        "ratio": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)},
        "federated_startup_seconds": max(federated["startup_seconds"] for _, federated in pairs),
    }
    print(json.dumps(result["ratio"]), f"start-up {result['federated_startup_seconds']:.1f} s")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="counted pairs")
    parser.add_argument("--federated-rounds", type=int, default=2, help="rounds of each run")
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


def run_pair(config: Config) -> tuple[dict[str, float], dict[str, float]]:
    sites = load_sites(config.data, config.partition)
    bench = workspace(config.model, sites.corpus.contract)
    centralized = train_alone(config, pooled_learner(sites), sites, bench, Silent())
    with tempfile.TemporaryDirectory() as folder:
        federated = run_of_study(config, Path(folder) / "run")
    return measured(centralized.result), measured(federated.result)


def measured(result: RunResult) -> dict[str, float]:
    return {
        "round_seconds": sum(entry.seconds for entry in result.rounds),
        "startup_seconds": result.startup_seconds,
        "examples": result.examples_seen,
    }


if __name__ == "__main__":
    main()
