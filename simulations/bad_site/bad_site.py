"""One of ten sites sends something else than what it trained, in every round: what does it cost the other nine?

    python simulations/bad_site/bad_site.py --runs runs --output simulations/bad_site/results.json

With x the state that was sent and u the site's honest update, it sends

    random      numbers of the normal distribution in place of weights
    noise       x + r, where r is random and nine times as long as u: within what the server takes for plausible
    reversed    x - 9 u, plausible in length as well

The real apps run in this process, on MiniLM and CoNLL-2003; beside each rule stands the same run without the site
(`absent`). An interrupted study goes on when started again; `--only WORD…` plays the runs whose names hold a word.
"""

import argparse
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from fedner.cli.console import watching
from fedner.config import Config, loads
from fedner.data.simulated_sites import load_sites
from fedner.files import write_json
from fedner.flower.identity import identify_server
from fedner.protocol.arrays import from_record, to_record
from fedner.records.environment import environment
from fedner.records.progress import Progress
from fedner.records.results import load_run, save_run
from fedner.records.run_directory import create_run, open_run
from fedner.server.coordinator import federate
from fedner.simulation.grid import InlineRunner, LocalGrid, site_contexts
from fedner.site.app import app as honest
from fedner.tensors import State

SITES = 10
BAD = 4
"""The site that is at fault, by its number."""

CONFIG = """{"data": {"kind": "conll2003", "train_sentences": 1000, "dev_sentences": 500, "contract": {"name":
"conll2003", "version": 1, "types": {"LOC": "Places", "MISC": "Other names", "ORG": "Organisations", "PER": "People"}}},
"partition": {"kind": "iid", "sites": 10}, "model": {"name": "minilm"}, "aggregation": %s, "seed": %d,
"training": {"lr": 4e-4, "threads": 1}, "federation": {"rounds": 10}}"""

RULES = {
    "fedavg": '{"kind": "fedavg"}',
    "trimmed_mean": '{"kind": "trimmed_mean", "trim": 0.1}',
    "median": '{"kind": "median"}',
}

Lie = Callable[[State, State, np.random.Generator], State]
"""What is sent, from what came, what was trained, and chance."""


def absent(sent: State, trained: State, chance: np.random.Generator) -> State:
    raise RuntimeError


def random(sent: State, trained: State, chance: np.random.Generator) -> State:
    return {name: chance.standard_normal(array.shape).astype(np.float32) for name, array in sent.items()}


def noise(sent: State, trained: State, chance: np.random.Generator) -> State:
    drawn = random(sent, trained, chance)
    wanted = 9 * _length({name: trained[name] - sent[name] for name in sent})
    scale = wanted / _length(drawn)
    return {name: (array + scale * drawn[name]).astype(np.float32) for name, array in sent.items()}


def reversed_nine_times(sent: State, trained: State, chance: np.random.Generator) -> State:
    return {name: (array - 9 * (trained[name] - array)).astype(np.float32) for name, array in sent.items()}


def _length(arrays: State) -> float:
    return math.sqrt(sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays.values()))


LIES: dict[str, Lie] = {
    "absent": absent,
    "random": random,
    "noise": noise,
    "reversed": reversed_nine_times,
}


class OneLies(ClientApp):
    """The real ClientApp at every site; what one of them trained is replaced before it leaves."""

    def __init__(self, lie: Lie) -> None:
        super().__init__()
        self._lie = lie
        self._chance = np.random.default_rng(0)

    def __call__(self, message: Message, context: Context) -> Message:
        reply = honest(message, context)
        if message.metadata.message_type == "train" and context.node_config["partition-id"] == BAD:
            sent, trained = (from_record(each.content.array_records["arrays"]) for each in (message, reply))
            reply.content["arrays"] = to_record(self._lie(sent, trained, self._chance))
        return reply


@dataclass(frozen=True)
class Case:
    """One federation."""

    rule: str
    lie: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.rule}-{self.lie}-{self.seed}"

    @property
    def config(self) -> Config:
        return loads(CONFIG % (RULES[self.rule], self.seed))


# Unrelated weights are refused before any rule sees them, so that FedAvg stands for all there. What chance does to a
# run is seen in three seeds of the nine.
CASES = [
    Case("fedavg", "random", 0),
    *(Case("fedavg", "absent", seed) for seed in range(3)),
    *(Case(rule, "absent", 0) for rule in RULES if rule != "fedavg"),
    *(Case(rule, lie, 0) for lie in ("noise", "reversed") for rule in RULES),
]


def play(case: Case, path: Path, progress: Progress) -> None:
    """Run a federation, unless it is there."""
    if load_run(path) is not None:
        return
    shutil.rmtree(path, ignore_errors=True)
    identify_server()
    config, contexts = case.config, site_contexts(SITES)
    run = create_run(path, config, load_sites(config.data, config.partition).corpus.contract)
    runner = InlineRunner(OneLies(LIES[case.lie]), contexts)
    with LocalGrid(runner, list(contexts)) as grid:
        save_run(path, federate(config, grid, run, progress))
    run.drop_checkpoints()


def row(case: Case, runs: Path) -> dict[str, object]:
    """Return what is told of a finished federation."""
    stored = load_run(runs / case.name)
    assert stored is not None, case.name
    history = open_run(runs / case.name).history()
    bad = [line for line in history if line["event"] == "reply refused" and line["phase"] == "train"]
    dev = [entry.dev.micro.f1 for entry in stored.result.rounds if entry.dev is not None]
    return {
        "rule": case.rule,
        "sends": case.lie,
        "seed": case.seed,
        "rounds_counted": sum(len(entry.sites) == SITES for entry in stored.result.rounds),
        "refused": len(bad) if case.lie != "absent" else None,
        "reason": bad[0]["reason"] if bad and case.lie != "absent" else None,
        "dev_f1_last": dev[-1],
        "dev_f1_best": max(dev),
        "state": stored.result.state_digest,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with watching() as progress:
        for case in CASES:
            if not options.only or any(word in case.name for word in options.only):
                progress.run_started(case.name)
                play(case, options.runs / case.name, progress)
    if options.output:
        rows = [row(case, options.runs) for case in CASES]
        write_json(options.output, {"rows": rows, "environment": environment(1)})


if __name__ == "__main__":
    main()
