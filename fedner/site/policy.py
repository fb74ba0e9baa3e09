"""A site's policy, applied to a request and to a reply: pure decisions, without Flower, files or a clock.

`before_work` says whether a request may be answered at all; the `release_` functions what of a reply may leave: all of
it, less of it, or nothing. A refusal is a stable code and a sentence that holds no private detail, neither of the text
nor of what else the policy says. `RefusalCode.policy_scores` marks scores that the site
withholds; the server counts the site as having answered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from fedner.config import AggregationKind, Config, Weighting
from fedner.config.policy import Request, ScoresPolicy, ScoresTold, SitePolicy, Sizes, parse_hours
from fedner.errors import FederationError
from fedner.metrics import Counts, DocumentCounts
from fedner.protocol.auxiliary import AUXILIARIES
from fedner.protocol.budget import most_examples
from fedner.protocol.messages import (
    AnyRequest,
    EvaluateReply,
    EvaluateRequest,
    HelloReply,
    HelloRequest,
    TrainReply,
    TrainRequest,
)
from fedner.refusals import Refusal, RefusalCode


def before_work(policy: SitePolicy, request: AnyRequest, config: Config, now: datetime) -> Refusal | None:
    """Return why a request may not be answered, or None if it may.

    Args:
        policy: the site's.
        request: what the server asks.
        config: the run's, as it came with the request.
        now: the site's local time.
    """
    checks = (_kind, _run, _lengths, _sites, _tensors, _sizes)
    found = next((failure for check in checks if (failure := check(policy, request, config))), None)
    return found or _hours(policy, request, now)


def release_hello(policy: SitePolicy, reply: HelloReply, config: Config) -> HelloReply:
    """Return an introduction as it may leave: sizes as the policy allows, and the splits whose scores are withheld."""
    splits = (Request.dev, Request.test)
    return replace(
        reply,
        train_sentences=_released_size(policy, reply.train_sentences),
        dev_sentences=_released_size(policy, reply.dev_sentences),
        test_sentences=_released_size(policy, reply.test_sentences),
        declines=tuple(split.value for split in splits if _keeps_scores(policy, split, config)),
    )


def release_update(policy: SitePolicy, reply: TrainReply, declared: int, config: Config) -> TrainReply | Refusal:
    """Return a trained state as it may leave.

    Where sizes are kept back, the sums are those that follow from the run's config or from rounded sizes; means stay
    what they are. Where they are rounded, steps grow like examples, since they would show the same.

    Args:
        policy: the site's.
        reply: what training brought.
        declared: the site's training sentences.
        config: the run's.
    """
    judged = [state for name, state in reply.auxiliary.items() if AUXILIARIES[name].under_policy]
    for tensors in (reply.arrays, *judged):
        if not _may_leave(policy, tensors):
            return _TENSORS
    if policy.sentences is Sizes.exact:
        return reply
    training = config.training
    released = _released_size(policy, declared) or 0
    most = most_examples(released, training)
    nominal = policy.sentences is Sizes.none or training.steps is not None
    examples = most if nominal else min(most, _up(reply.num_examples, policy.sentences_step))
    words = examples if policy.sentences is Sizes.none else _up(reply.num_words, policy.sentences_step)
    words = max(words, reply.steps)
    steps = reply.steps if training.steps is not None else round(reply.steps * examples / reply.num_examples)
    return replace(
        reply,
        num_examples=examples,
        num_words=max(words, steps),
        loss_sum=reply.loss_sum / reply.num_words * max(words, steps),
        steps=max(1, steps),
    )


def release_scores(
    policy: SitePolicy, reply: EvaluateReply, request: EvaluateRequest, types: Sequence[str]
) -> EvaluateReply | Refusal:
    """Return scores as they may leave; loss and words go only with counts of all types.

    Of a type whose counts stay, it stays as well whether anybody annotated it.

    Args:
        policy: the site's.
        reply: all counts, those by document included.
        request: what the server asked.
        types: entity types in contract order.

    Raises:
        FederationError: the reply has no counts by document, on which the decision rests.
    """
    if reply.document_counts is None:
        raise FederationError("scores: expected counts by document, on which the policy decides, got none")
    scores = policy.scores(request.split)
    released = _released_types(scores, reply.document_counts, types)
    if not released.any() or not policy.tells(Request(request.split)):
        return _declined(request.split)
    by_document = request.by_document and policy.document_counts
    everything = scores.tell is ScoresTold.all
    return replace(
        reply,
        counts=_only(reply.counts, released),
        document_counts=reply.document_counts * released[None, :, None] if by_document else None,
        withheld=tuple(name for name, leaves in zip(types, released, strict=True) if not leaves),
        unannotated=tuple(
            name for name, leaves in zip(types, released, strict=True) if leaves and name in reply.unannotated
        ),
        loss_sum=reply.loss_sum if everything else None,
        num_words=reply.num_words if everything and policy.sentences is Sizes.exact else None,
    )


_TENSORS = Refusal(RefusalCode.policy_tensors, "the run trains tensors that the site's policy does not let out")


def _kind(policy: SitePolicy, request: AnyRequest, config: Config) -> Refusal | None:
    kind = kind_of(request)
    if kind in (Request.dev, Request.test) and _keeps_scores(policy, kind, config):
        return _declined(kind.value)
    if kind not in policy.requests:
        return Refusal(RefusalCode.policy_request, f"the site's policy lets no {kind.value} request be answered")
    return None


def kind_of(request: AnyRequest) -> Request:
    """Return what a request is to a policy.

    Raises:
        FederationError: it asks for scores of a split that there is not.
    """
    match request:
        case HelloRequest():
            return Request.hello
        case TrainRequest():
            return Request.train
        case EvaluateRequest():
            if request.split not in (Request.dev, Request.test):
                raise FederationError(f"evaluation: expected split dev or test, got '{request.split}'")
            return Request(request.split)


def _run(policy: SitePolicy, request: AnyRequest, config: Config) -> Refusal | None:
    if policy.runs and not any(fnmatchcase(request.header.run, pattern) for pattern in policy.runs):
        return Refusal(RefusalCode.policy_run, "the site's policy does not name this run")
    if policy.contracts and request.header.contract not in policy.contracts:
        return Refusal(RefusalCode.policy_contract, "the site's policy does not name this label contract")
    return None


def _lengths(policy: SitePolicy, request: AnyRequest, config: Config) -> Refusal | None:
    training = config.training
    rounds = max(config.federation.rounds, request.header.round)
    for key, asked, most in (
        ("rounds", rounds, policy.max_rounds),
        ("epochs", training.epochs if training.steps is None else None, policy.max_epochs),
        ("steps", training.steps, policy.max_steps),
    ):
        if asked is not None and most is not None and asked > most:
            what = key if key == "rounds" else f"{key} a round"
            return Refusal(
                RefusalCode(f"policy-{key}"), f"the site's policy allows at most {most:g} {what}, the run has {asked:g}"
            )
    return None


def _sites(policy: SitePolicy, request: AnyRequest, config: Config) -> Refusal | None:
    wanted, found = policy.min_sites, config.federation.min_sites
    if found >= wanted:
        return None
    required = f"the site's policy wants updates of at least {wanted} sites united in every round"
    return Refusal(RefusalCode.policy_sites, f"{required}, the run promises {found} (federation.min_sites)")


def _tensors(policy: SitePolicy, request: AnyRequest, config: Config) -> Refusal | None:
    # A reply repeats the names of its request, so that what may not leave need not be trained first.
    return _TENSORS if isinstance(request, TrainRequest) and not _may_leave(policy, request.arrays) else None


def _sizes(policy: SitePolicy, request: AnyRequest, config: Config) -> Refusal | None:
    if policy.sentences is Sizes.exact or not isinstance(request, TrainRequest):
        return None
    steps = config.training.steps is not None
    if policy.sentences is Sizes.none and not (steps and config.federation.weighting is Weighting.uniform):
        sentence = "the site withholds sizes, so it trains with training.steps and federation.weighting=uniform only"
        return Refusal(RefusalCode.policy_sizes, sentence)
    if not steps and config.aggregation.kind is AggregationKind.fednova:
        sentence = "the site rounds sizes, so it trains under aggregation=fednova with training.steps only"
        return Refusal(RefusalCode.policy_sizes, sentence)
    return None


def _hours(policy: SitePolicy, request: AnyRequest, now: datetime) -> Refusal | None:
    if not policy.hours or isinstance(request, HelloRequest):
        return None
    if any(parse_hours(window).hold(now.weekday(), 60 * now.hour + now.minute) for window in policy.hours):
        return None
    return Refusal(RefusalCode.policy_hours, "the site's policy lets no work begin at this hour")


def _keeps_scores(policy: SitePolicy, split: Request, config: Config) -> bool:
    """Return whether the site would withhold the scores of this split anyway.

    A site with personal tensors saves its model when it is asked for its test scores, withheld or not.
    """
    saves_model = split is Request.test and bool(config.model.personal) and split in policy.requests
    return not policy.tells(split) and not saves_model


def _declined(split: str) -> Refusal:
    return Refusal(RefusalCode.policy_scores, f"the site keeps its {split} scores to itself")


def _may_leave(policy: SitePolicy, tensors: Mapping[str, object]) -> bool:
    return all(any(fnmatchcase(name, pattern) for pattern in policy.tensors) for name in tensors)


def _released_types(scores: ScoresPolicy, documents: DocumentCounts, types: Sequence[str]) -> NDArray[np.bool_]:
    """Return which types' counts may leave, shape (types,)."""
    match scores.tell:
        case ScoresTold.all:
            return np.ones(len(types), dtype=np.bool_)
        case ScoresTold.listed:
            return np.array([name in scores.types for name in types], dtype=np.bool_)
        case ScoresTold.supported:
            holding = ((documents[:, :, 0] + documents[:, :, 2]) > 0).sum(axis=0)  # true positives, false negatives
            return np.asarray(holding >= scores.min_documents, dtype=np.bool_)
        case ScoresTold.none:
            return np.zeros(len(types), dtype=np.bool_)


def _only(counts: Counts, released: NDArray[np.bool_]) -> Counts:
    def kept(numbers: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(number if leaves else 0 for number, leaves in zip(numbers, released, strict=True))

    return Counts(kept(counts.tp), kept(counts.fp), kept(counts.fn))


def _released_size(policy: SitePolicy, size: int | None) -> int | None:
    match policy.sentences:
        case Sizes.exact:
            return size
        case Sizes.rounded:
            return None if size is None else _up(size, policy.sentences_step)
        case Sizes.none:
            return None


def _up(number: int, step: int) -> int:
    return -(-number // step) * step
