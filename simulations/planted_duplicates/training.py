"""By how much copies of test documents in training text inflate F1.

Two training sets of the same number of documents: one has copies of 5 % of the test documents, exact or with 2 % of
their words replaced, the other as many further training documents in their place. `fedner compare` trains on both with
the same seeds; the difference on the whole test set is the inflation, on the copied documents its cause, on the rest
what else the copies taught. Leaving out what the finder finds gives the score that the copies had spoilt.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from planting import SHARE, edited

from fedner.config import Arm
from fedner.data.auditing import AuditOptions
from fedner.data.auditing.duplicates import document_texts, find_duplicates
from fedner.data.corpus import Corpus, Document
from fedner.data.loading import sample
from fedner.data.simulated_sites import load_sites
from fedner.data.writing import two_columns
from fedner.experiments.study_directory import Unit, run_directory
from fedner.files import read_json
from fedner.metrics import DocumentCounts, arm_interval, paired_bootstrap
from fedner.records.results import load_run
from fedner.records.run_directory import read_config
from fedner.seeding import generator

FEDNER = str(Path(sys.executable).parent / "fedner")
OVERRIDES = (
    "data=files",
    "partition=iid",
    "partition.sites=4",
    "federation.rounds=5",
    "training.lr=2e-4",
    "training.threads=1",
    "experiment.arms=[centralized]",
    "experiment.seeds=[0,1,2]",
)
SEED = 0
Mask = NDArray[np.bool_]


def train(corpus: Corpus, runs: Path, sentences: int, overrides: Sequence[str]) -> dict[str, object]:
    """Train with and without the copies, and return by how much scores differ."""
    few = sample(corpus.train, sentences, SEED, "train")
    tests, number = corpus.test, round(SHARE * len(corpus.test))
    rng = generator(SEED, "planted duplicates")
    words = sorted({word for each in few for sentence in each.sentences for word in sentence.words})
    copied = rng.choice(len(tests), number, replace=False).tolist()
    copies = [edited(tests[at], f"planted/{at}", 0.02 * (turn % 2), rng, words) for turn, at in enumerate(copied)]
    rest = [each for each in corpus.train if each not in few]
    others = [rest[index] for index in rng.choice(len(rest), number, replace=False).tolist()]
    dev = sample(corpus.dev, max(1, sentences // 4), SEED, "dev")
    studies = {
        name: _compare(name, {"train": [*few, *more], "dev": dev, "test": tests}, corpus, runs, overrides)
        for name, more in (("with_copies", copies), ("without", others))
    }
    found = find_duplicates(document_texts({"train": [*few, *copies], "test": tests}), AuditOptions().threshold, 3)
    leaked = {each.place.document for each in found if each.place.split == "test" != each.earlier.split}
    masks = {
        "whole_test_set": np.ones(len(tests), dtype=bool),
        "copied_documents": np.isin(np.arange(len(tests)), copied),
        "other_documents": ~np.isin(np.arange(len(tests)), copied),
        "without_what_was_found": np.array([each.id not in leaked for each in tests]),
    }
    arms = [arm for arm in Arm if (studies["without"] / "arms" / arm.value).exists() and not arm.per_site]
    return {
        "documents": {"train": len(few) + number, "test": len(tests), "copied": number, "found": len(leaked)},
        "arms": {arm.value: _differences(studies, arm, masks) for arm in arms},
        "overrides": [*OVERRIDES, *overrides],
    }


def _compare(
    name: str, splits: dict[str, Sequence[Document]], corpus: Corpus, runs: Path, overrides: Sequence[str]
) -> Path:
    """Write the text, run or continue the comparison on it, and return its directory."""
    folder = runs / "text" / name
    folder.mkdir(parents=True, exist_ok=True)
    for split, documents in splits.items():
        (folder / f"{split}.conll").write_text(two_columns(documents), encoding="utf-8")
    files = [f"data.{split}=[{folder}/{split}.conll]" for split in splits]
    types = [f"+data.contract.types.{kind}=''" for kind in corpus.contract.type_names]
    call = [FEDNER, "compare", *OVERRIDES, *files, *types, f"name={name}", f"output={runs}", *overrides]
    subprocess.run(call, check=True)
    return runs / name


def _differences(studies: dict[str, Path], arm: Arm, masks: dict[str, Mask]) -> dict[str, object]:
    counts = {name: _counts(study, arm) for name, study in studies.items()}
    told: dict[str, object] = {}
    for name, mask in masks.items():
        chosen = {which: [run[mask] for run in runs] for which, runs in counts.items()}
        told[name] = {which: arm_interval(runs).to_json() for which, runs in chosen.items()} | {
            "difference": asdict(paired_bootstrap(chosen["with_copies"], chosen["without"]))
        }
    return told


def _counts(study: Path, arm: Arm) -> list[DocumentCounts]:
    """Return the counts of each seed, in the order in which the documents stand in the file."""
    config = read_config(study / "config.yaml")
    sites = load_sites(config.data, config.partition)
    places = {document.id: index for index, document in enumerate(sites.corpus.test)}
    order = [places[document.id] for shard in sites.shards for document in shard.test]
    found: list[DocumentCounts] = []
    for seed, run in sorted(read_json(study / "report" / "metrics.json")["arms"][arm.value]["seeds"].items()):
        stored = load_run(run_directory(study, Unit(arm), int(seed), run["lr"]))
        assert stored is not None, study
        pooled = np.concatenate([stored.test_counts[shard.site] for shard in sites.shards])
        found.append(pooled[np.argsort(order)])
    return found
