"""metrics.json of a comparison or a single run: every arm's runs, their intervals, differences, and the gap closed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from fedner.assets import MINILM_NOTICE
from fedner.config import Arm, Config, ExperimentConfig, to_plain
from fedner.data.auditing.leakage import Leakage, Unchecked, check_leakage
from fedner.data.corpus import SPLITS, num_sentences
from fedner.data.encoding import EncodingStats
from fedner.data.partition import describe
from fedner.data.simulated_sites import Sites
from fedner.experiments.matrix import study_matrix
from fedner.experiments.study_directory import Finished, Unit
from fedner.files import write_json
from fedner.learning.workspace import Workspace
from fedner.metrics import (
    DocumentCounts,
    gap_closed_interval,
    local_interval,
    paired_bootstrap,
    signature,
)
from fedner.records.environment import environment
from fedner.records.results import SCHEMA, StoredRun, run_to_json

Counts = Sequence[DocumentCounts]
"""Counts of one model per seed, each of shape (documents, types, 3), over the same documents."""


def write_metrics(
    directory: Path,
    config: Config,
    sites: Sites,
    workspace: Workspace | None,
    finished: Finished,
    missing: Sequence[str],
    command: str,
) -> None:
    """Write report/metrics.json (schema 1).

    Args:
        workspace: None where the text lies at real sites, so that nothing is known of it but scores; where a site does
            not report its counts by document either, there are no intervals.
    """
    contract, experiment = sites.corpus.contract, config.experiment
    by_document = _by_document(finished, sites)
    intervals = _intervals(finished, sites, experiment) if by_document else {}
    content = {
        "schema": SCHEMA,
        "contract": {"hash": contract.digest, "types": list(contract.type_names)},
        "data": _withheld_data(finished, sites) if workspace is None else _data(sites, workspace, experiment),
        "arms": _arms(finished),
        "summary": {} if missing or not by_document else _summary(finished, sites, experiment),
        "intervals": intervals,
        "matrix": study_matrix(finished, sites, intervals).to_json() if by_document else None,
        "differences": {} if missing else _differences(finished, sites, experiment),
        "tuning": {unit.label: {f"{lr:g}": f1 for lr, f1 in dev.items()} for unit, dev in finished.tuning.items()},
        "config": to_plain(config),
        "environment": environment(config.training.threads),
        "notices": notices(config, sites),
        "signature": signature(
            contract, documents=_num_documents(finished, sites), samples=experiment.bootstrap_samples
        ),
        "command": command,
        "complete": not missing,
        "missing": list(missing),
    }
    write_json(directory / "report" / "metrics.json", content)


def _by_document(finished: Finished, sites: Sites) -> bool:
    """Return whether every run has every site's counts by document, from which intervals are computed."""
    names = {shard.site for shard in sites.shards}
    return all(names <= set(run.test_counts) for runs in finished.runs.values() for run in runs.values())


def _num_documents(finished: Finished, sites: Sites) -> int:
    """Return how many test documents there are, as far as sites report it; a real site's shard is not here."""
    counted = next((run.test_counts for runs in finished.runs.values() for run in runs.values()), {})
    return sum(len(shard.test) or len(counted.get(shard.site, ())) for shard in sites.shards)


def notices(config: Config, sites: Sites) -> list[str]:
    """Return the licence notices that users of the text and the encoder must read."""
    return ([sites.corpus.notice] if sites.corpus.notice else []) + (
        [MINILM_NOTICE] if config.model.name == "minilm" else []
    )


def _withheld_data(finished: Finished, sites: Sites) -> dict[str, Any]:
    leakage = Leakage(_num_documents(finished, sites), left_out=0, leaked=None, unchecked=Unchecked.at_sites)
    return {"corpus": sites.corpus.name, "leakage": leakage.to_json()}


def _data(sites: Sites, workspace: Workspace, experiment: ExperimentConfig) -> dict[str, Any]:
    stats = describe(sites.shards, sites.corpus.contract)
    return {
        "corpus": sites.corpus.name,
        "splits": {split: asdict(getattr(stats, split)) for split in SPLITS},
        "partition": stats.to_json(),
        "unseen": {shard.site: num_sentences(shard.test) for shard in sites.unseen},
        "encoding": {split: asdict(stats) for split, stats in _encoding(sites, workspace).items()},
        "leakage": _leakage(sites, experiment.check_test).to_json(),
    }


def _leakage(sites: Sites, wanted: bool) -> Leakage:
    """Return whether any site's test text, or an unseen site's, lies in any site's training text."""
    train = [document for shard in sites.shards for document in shard.train]
    test = [document for shard in (*sites.shards, *sites.unseen) for document in shard.test]
    return check_leakage(train, test, sites.corpus.left_out.get("test", 0), wanted)


def _encoding(sites: Sites, workspace: Workspace) -> dict[str, EncodingStats]:
    """Return what the encoder sees of each split, all sites together, and of the unseen sites' test text."""
    texts = {split: [shard.split(split) for shard in sites.shards] for split in SPLITS}
    texts["unseen"] = [shard.test for shard in sites.unseen]
    found = {name: [workspace.encoded(documents).stats for documents in shards] for name, shards in texts.items()}
    return {name: reduce(add, stats) for name, stats in found.items() if stats}


def _arms(finished: Finished) -> dict[str, Any]:
    arms: dict[str, Any] = {}
    for unit, runs in finished.runs.items():
        entry = {"seeds": {str(seed): run_to_json(run.result) for seed, run in runs.items()}}
        if unit.arm.per_site:
            arms.setdefault(unit.arm.value, {"sites": {}})["sites"][unit.site] = entry
        else:
            arms[unit.arm.value] = entry
    return arms


def _pooled(runs: Mapping[int, StoredRun], sites: Sites) -> list[DocumentCounts]:
    names = [shard.site for shard in sites.shards]
    return [np.concatenate([run.test_counts[name] for name in names]) for run in runs.values()]


def _summary(finished: Finished, sites: Sites, experiment: ExperimentConfig) -> dict[str, Any]:
    found: dict[str, Any] = {}
    pooled: dict[Arm, list[list[DocumentCounts]]] = {}
    for arm in Arm:
        if not finished.of(arm):
            continue
        pooled[arm] = [_pooled(runs, sites) for runs in finished.of(arm).values()]
        summary = local_interval(pooled[arm], experiment.confidence, experiment.bootstrap_samples)
        found[arm.value] = summary.to_json()
    if {Arm.centralized, Arm.federated, Arm.local} <= set(pooled):
        gap = gap_closed_interval(
            pooled[Arm.centralized][0],
            pooled[Arm.federated][0],
            pooled[Arm.local],
            experiment.confidence,
            experiment.bootstrap_samples,
        )
        found["gap_closed"] = gap.to_json() | {"seeds": len(experiment.seeds)}
    return found


def _intervals(finished: Finished, sites: Sites, experiment: ExperimentConfig) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for unit, runs in finished.runs.items():
        if unit.arm.per_site:
            found.setdefault(unit.arm.value, {})[unit.site] = _model_intervals([runs], sites, experiment)
        else:
            found[unit.arm.value] = _model_intervals([runs], sites, experiment)
    for arm in (arm for arm in Arm if arm.per_site):
        models = list(finished.of(arm).values())
        if len({tuple(runs) for runs in models}) == 1:
            found[f"{arm.value}_mean"] = _model_intervals(models, sites, experiment)
    return found


def _model_intervals(
    models: Sequence[Mapping[int, StoredRun]], sites: Sites, experiment: ExperimentConfig
) -> dict[str, Any]:
    """Return the intervals of the mean over some models, each with its runs by seed, on every test shard."""
    names = next(iter(models[0].values())).test_counts
    by_site = {
        site: _score_intervals([[run.test_counts[site] for run in runs.values()] for runs in models], sites, experiment)
        for site in names
    }
    return {"test": _score_intervals([_pooled(runs, sites) for runs in models], sites, experiment), "sites": by_site}


def _score_intervals(models: Sequence[Counts], sites: Sites, experiment: ExperimentConfig) -> dict[str, Any]:
    def bounds(selected: Sequence[Counts]) -> list[float | None]:
        summary = local_interval(selected, experiment.confidence, experiment.bootstrap_samples)
        return [summary.low, summary.high]

    types = sites.corpus.contract.type_names
    return {
        "micro": bounds(models),
        "types": {
            name: bounds([[run[:, [index]] for run in runs] for runs in models]) for index, name in enumerate(types)
        },
    }


def _differences(finished: Finished, sites: Sites, experiment: ExperimentConfig) -> dict[str, Any]:
    def difference(ours: Counts, theirs: Counts) -> dict[str, float | None]:
        return asdict(paired_bootstrap(ours, theirs, experiment.confidence, experiment.bootstrap_samples))

    federated = finished.runs.get(Unit(Arm.federated))
    if federated is None:
        return {}
    found: dict[str, Any] = {}
    centralized, local = finished.runs.get(Unit(Arm.centralized)), finished.of(Arm.local)
    if centralized is not None:
        found["federated-centralized"] = difference(_pooled(federated, sites), _pooled(centralized, sites))
    if local:
        alone = [counts for runs in local.values() for counts in _pooled(runs, sites)]
        found["federated-local"] = difference(_pooled(federated, sites), alone)
        found["per_site"] = {
            unit.site: difference(_at(unit.site, federated), _at(unit.site, runs)) for unit, runs in local.items()
        }
    if fine_tuned := finished.of(Arm.fine_tuned):
        found["per_site_fine_tuned"] = {
            unit.site: difference(_at(unit.site, runs), _at(unit.site, federated)) for unit, runs in fine_tuned.items()
        }
    return found


def _at(site: str, runs: Mapping[int, StoredRun]) -> list[DocumentCounts]:
    return [run.test_counts[site] for run in runs.values()]
