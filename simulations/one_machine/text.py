"""Three sites with real text, for the walk in docs/across-sites.md: `python simulations/one_machine/text.py FOLDER`.

FOLDER/federation.yaml, labels.yaml    what a coordinator writes; server and sites are on 127.0.0.1
FOLDER/north, south, east              what a site has: site.yaml, and its share of CoNLL-2003: 1,200 sentences to train
                                       on, 300 for dev, the whole test set
"""

import sys
from functools import partial
from pathlib import Path

import yaml

from fedner.cli.compose import run_composed
from fedner.config import Config
from fedner.data.corpus import SPLITS, Shard
from fedner.data.labels import write_contract
from fedner.data.loading import load_corpus
from fedner.data.partition import partition
from fedner.data.writing import two_columns
from fedner.errors import FednerError, InputError

SITES = ("north", "south", "east")
OVERRIDES = (
    "data=conll2003",
    "data.train_sentences=1200",
    "data.dev_sentences=300",
    "partition=iid",
    f"partition.sites={len(SITES)}",
)


def write(folder: Path, config: Config) -> None:
    """Write everything to a folder that is not there yet."""
    corpus = load_corpus(config.data)
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise InputError(f"{folder}: is there already; remove it to make it anew, or name another folder") from error
    write_contract(corpus.contract, folder / "labels.yaml")
    federation = {
        "name": "walk",
        "server": {"hosts": ["127.0.0.1"]},
        "contract": "labels.yaml",
        "sites": [{"name": site} for site in SITES],
    }
    (folder / "federation.yaml").write_text(yaml.safe_dump(federation, sort_keys=False), encoding="utf-8")
    for site, shard in zip(SITES, partition(corpus, config.partition), strict=True):
        write_site(folder / site, site, shard)


def write_site(folder: Path, site: str, shard: Shard) -> None:
    """Write one site's text and its site file."""
    folder.mkdir()
    for split in SPLITS:
        (folder / f"{split}.conll").write_text(two_columns(shard.split(split)), encoding="utf-8")
    told = {"site": site, "data": {split: [f"{split}.conll"] for split in SPLITS}, "machine": {"threads": 1}}
    (folder / "site.yaml").write_text(yaml.safe_dump(told, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python simulations/one_machine/text.py FOLDER")
    try:
        run_composed("config", OVERRIDES, partial(write, Path(sys.argv[1])))
    except FednerError as error:
        raise SystemExit(f"{error}") from error
