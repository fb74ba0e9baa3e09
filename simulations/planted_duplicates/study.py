"""Are planted copies of test documents found?

    python simulations/planted_duplicates/study.py --output results.json

5 % of CoNLL-2003's test documents are copied into the training text of their own site, another 5 % into that of another
site, exactly or lightly edited; four iid sites, 20 seeds. Recall and precision of `fedner data audit` within sites and
of fingerprints between them.
"""

import argparse
from pathlib import Path

from finding import find

from fedner.cli.compose import run_composed
from fedner.config import Config
from fedner.data.loading import load_corpus
from fedner.data.partition import partition
from fedner.federation.runs import environment
from fedner.results import write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20, help="of planting")
    options = parser.parse_args()
    configs: list[Config] = []
    run_composed("config", ["data=conll2003", "partition=iid", "partition.sites=4"], configs.append)
    corpus = load_corpus(configs[0].data)
    found = find(partition(corpus, configs[0].partition), range(options.seeds))
    write_json(options.output, {"finding": found, "environment": environment(1)})
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
