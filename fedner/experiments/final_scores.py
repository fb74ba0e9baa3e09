"""The test documents, scored once per run with its best round's state; a simulation may count them by document."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fedner.config import TrainingConfig
from fedner.data.corpus import Shard
from fedner.data.labels import LabelContract
from fedner.data.simulated_sites import Sites
from fedner.learning.inference import evaluate
from fedner.learning.tagger.tensors import set_state
from fedner.learning.workspace import Workspace
from fedner.metrics import DocumentCounts, Score, pool, score, total
from fedner.records.results import RunOutcome
from fedner.tensors import State


def count_tests(
    state: State, shards: Sequence[Shard], workspace: Workspace, training: TrainingConfig
) -> dict[str, DocumentCounts]:
    """Return the state's counts on each shard's test documents; arrays of shape (documents, types, 3)."""
    tagger = workspace.tagger
    set_state(tagger.model, state)
    return {shard.site: evaluate(tagger, workspace.encoded(shard.test), training).document_counts for shard in shards}


def pooled_score(test_counts: Mapping[str, DocumentCounts], sites: Sites) -> Score:
    """Return the score on the test documents of all sites that take part; unseen shards stay apart."""
    return score(pool(total(test_counts[shard.site]) for shard in sites.shards), sites.corpus.contract)


def site_scores(test_counts: Mapping[str, DocumentCounts], contract: LabelContract) -> dict[str, Score]:
    """Return the score on each shard's own test documents."""
    return {site: score(total(counts), contract) for site, counts in test_counts.items()}


def with_unseen(outcome: RunOutcome, sites: Sites, workspace: Workspace, training: TrainingConfig) -> RunOutcome:
    """Add a federated run's scores on shards that no site trained on, which only this machine can see."""
    if not sites.unseen:
        return outcome
    counts = count_tests(outcome.best_state, sites.unseen, workspace, training)
    scores = {**outcome.result.sites, **site_scores(counts, sites.corpus.contract)}
    return replace(outcome, result=replace(outcome.result, sites=scores), test_counts={**outcome.test_counts, **counts})
