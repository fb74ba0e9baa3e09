"""Training without a federation: the centralized arm on the pooled text, a local arm on one site's.

Both do what a site does, round after round, but average with nobody: the same local loop, the same number of
passes, the same schedule over the whole run, dev scored at the same points. Fine-tuning is the same, but starts from
the federated model instead of the encoder, with a budget of its own that comes on top of the federation's.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fedner.config import Config, OptimizerState, Partial, TrainingConfig
from fedner.data.corpus import Document, Shard
from fedner.data.encoding import Encoded
from fedner.data.simulated_sites import Sites
from fedner.experiments.final_scores import count_tests, pooled_score, site_scores
from fedner.learning.inference import evaluate
from fedner.learning.tagger.model import Tagger
from fedner.learning.tagger.tensors import get_state, set_state
from fedner.learning.training.fitting import fit
from fedner.learning.training.memory import TrainingMemory
from fedner.learning.training.schedule import in_round
from fedner.learning.workspace import Workspace
from fedner.metrics import contributions, score, total
from fedner.records.events import round_evaluated
from fedner.records.progress import Progress, Silent
from fedner.records.results import RoundRecord, RunOutcome, RunResult
from fedner.records.run_directory import RunDirectory
from fedner.records.stopping import should_stop
from fedner.tensors import State, digest


@dataclass(frozen=True)
class Learner:
    """Who trains alone, on which documents; `name` keeps its random streams apart from everyone else's."""

    name: str
    train: tuple[Document, ...]
    dev: tuple[Document, ...]


@dataclass(frozen=True)
class _Course:
    """The parts that every round of one training shares; `rounds` is the most there may be."""

    config: Config
    training: TrainingConfig
    name: str
    train: Encoded
    rounds: int


@dataclass(frozen=True)
class _Trained:
    """All rounds of one learner; `state` is that of round `best_round`, `examples` counts sentences."""

    rounds: tuple[RoundRecord, ...]
    best_round: int
    state: State
    examples: int


class Recorded(Silent):
    """Records rounds in a history and forwards every call to another `Progress`."""

    def __init__(self, progress: Progress, run: RunDirectory) -> None:
        self._progress = progress
        self._run = run
        self._before: tuple[RoundRecord, ...] = ()

    def round_started(self, number: int, rounds: int, before: Sequence[RoundRecord]) -> None:
        """Forward the call."""
        self._before = tuple(before)
        self._progress.round_started(number, rounds, before)

    def advanced(self, done: int, total: int, what: str) -> None:
        """Forward the call."""
        self._progress.advanced(done, total, what)

    def round_finished(self, entry: RoundRecord, rounds: int) -> None:
        """Record the round and forward the call."""
        self._run.record(round_evaluated((*self._before, entry), rounds))
        self._progress.round_finished(entry, rounds)


def pooled_learner(sites: Sites) -> Learner:
    """Return the centralized learner: all sites' documents, site by site."""
    return Learner(
        name="",
        train=tuple(document for shard in sites.shards for document in shard.train),
        dev=tuple(document for shard in sites.shards for document in shard.dev),
    )


def site_learner(shard: Shard) -> Learner:
    """Return the local learner of one site: its own training and dev documents and nothing else."""
    return Learner(name=shard.site, train=shard.train, dev=shard.dev)


def train_alone(
    config: Config,
    learner: Learner,
    sites: Sites,
    workspace: Workspace,
    progress: Progress,
    federated: State | None = None,
) -> RunOutcome:
    """Train one learner for all rounds, take the best round on its own dev, score that once on every test shard.

    Args:
        federated: fine-tuning starts from this state and lasts `experiment.fine_tune_rounds`; the state as it came
            counts as round 0, since a site that gains nothing on its dev text would keep the federated model.
    """
    # Nobody replaces the weights between rounds here and there is no federation to drift away from: forgetting the
    # moments, or being pulled back to where a round began, would only handicap these arms.
    training = replace(config.training, optimizer_state=OptimizerState.keep, prox_mu=0.0, scaffold=False, dyn_alpha=0.0)
    if federated is None and learner.name:
        # A site that starts from nothing learns from nobody what its O hides: left open, it would be guessed at random.
        training = replace(training, partial=Partial.ignore)
    num_rounds = config.federation.rounds if federated is None else config.experiment.fine_tune_rounds
    started = time.monotonic()
    set_state(workspace.tagger.model, workspace.initial_state(config.seed) if federated is None else federated)
    course = _Course(config, training, learner.name, workspace.encoded(learner.train), num_rounds)
    dev = workspace.encoded(learner.dev)
    startup_seconds = time.monotonic() - started
    before = None if federated is None else _scored_before(dev, training, workspace.tagger, progress)
    trained = _train(course, dev, before, workspace.tagger, progress)
    test_counts = count_tests(trained.state, [*sites.shards, *sites.unseen], workspace, training)
    scores = site_scores(test_counts, sites.corpus.contract)
    hidden = {shard.site: shard.unannotated("test") for shard in sites.shards}
    result = RunResult(
        test=pooled_score(test_counts, sites),
        sites=scores,
        support=contributions({site: scores[site] for site in hidden}, hidden),
        rounds=trained.rounds,
        best_round=trained.best_round,
        examples_seen=trained.examples,
        seconds=time.monotonic() - started,
        startup_seconds=startup_seconds,
        lr=training.lr,
        state_digest=digest(trained.state),
        started_from=None if federated is None else digest(federated),
    )
    return RunOutcome(result=result, test_counts=test_counts, best_state=trained.state)


def _scored_before(dev: Encoded, training: TrainingConfig, tagger: Tagger, progress: Progress) -> RoundRecord:
    """Return round 0 of fine-tuning: the federated model on the site's own dev text."""
    started = time.monotonic()
    dev_score = score(total(evaluate(tagger, dev, training).document_counts), tagger.contract)
    progress.message(f"  before fine-tuning  dev F1 {dev_score.micro.f1:.4f}")
    return RoundRecord(round=0, dev=dev_score, seconds=time.monotonic() - started)


def _train(course: _Course, dev: Encoded, before: RoundRecord | None, tagger: Tagger, progress: Progress) -> _Trained:
    """Train from the state that the tagger is in; `before` is that state's own score where it may be kept."""
    memory: TrainingMemory | None = None
    rounds = [before] if before else []
    best: State = get_state(tagger.model) if before else {}
    best_f1 = before.dev.micro.f1 if before and before.dev else -1.0
    best_round, examples = 0, 0
    for number in range(1, course.rounds + 1):
        started = time.monotonic()
        progress.round_started(number, course.rounds, rounds)
        fitted = fit(
            tagger,
            course.train,
            in_round(course.training, seed=course.config.seed, site=course.name, number=number, rounds=course.rounds),
            memory=memory,
            on_step=lambda done, total: progress.advanced(done, total, "steps"),
        )
        memory, examples = fitted.memory, examples + fitted.num_examples
        dev_score = score(total(evaluate(tagger, dev, course.training).document_counts), tagger.contract)
        if dev_score.micro.f1 > best_f1:
            best, best_f1, best_round = get_state(tagger.model), dev_score.micro.f1, number
        rounds.append(
            RoundRecord(
                round=number,
                dev=dev_score,
                seconds=time.monotonic() - started,
                train_loss=fitted.loss_sum / max(fitted.num_words, 1),
            )
        )
        progress.round_finished(rounds[-1], course.rounds)
        if should_stop(rounds, course.config.federation.patience):
            break
    return _Trained(tuple(rounds), best_round, best, examples)
