"""Are planted copies of test documents found, and by how much do they inflate F1?

    python simulations/planted_duplicates/study.py --output results.json [--only finding] [overrides of fedner compare]

finding    5 % of CoNLL-2003's test documents are copied into the training text of their own site, another 5 % into that
           of another site, exactly or lightly edited; four iid sites, 20 seeds. Recall and precision of `fedner data
           audit` within sites and of fingerprints between them.
inflation  MiniLM trained with copies of 5 % of the test documents in its training text, and with other documents in
           their place: the difference in test F1.

Each part writes its own entry of the results and leaves the other's. Interrupted training goes on when started again.
"""

import argparse
from pathlib import Path

from finding import find
from training import train

from fedner.cli.compose import run_composed
from fedner.config import Config
from fedner.data.loading import load_corpus
from fedner.data.partition import partition
from fedner.files import read_json, write_json
from fedner.records.environment import environment

PARTS = ("finding", "inflation")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--runs", type=Path, default=Path("runs/planted_duplicates"))
    parser.add_argument("--seeds", type=int, default=20, help="of planting")
    parser.add_argument("--sentences", type=int, default=1000, help="to train on")
    options, overrides = parser.parse_known_args()
    configs: list[Config] = []
    run_composed("config", ["data=conll2003", "partition=iid", "partition.sites=4"], configs.append)
    corpus = load_corpus(configs[0].data)
    results = read_json(options.output) if options.output.exists() else {}
    for part in PARTS if options.only is None else (options.only,):
        if part == "finding":
            found = find(partition(corpus, configs[0].partition), range(options.seeds))
        else:
            found = train(corpus, options.runs, options.sentences, overrides)
        results |= {part: found, "environment": environment(1)}
        write_json(options.output, results)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
