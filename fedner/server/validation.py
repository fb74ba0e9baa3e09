"""Validation of training replies: pure functions, without Flower, clocks or files."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from fedner.config import TrainingConfig
from fedner.errors import StateError
from fedner.protocol.auxiliary import AUXILIARIES
from fedner.protocol.budget import most_examples
from fedner.protocol.messages import Header, TrainReply, TrainRequest
from fedner.records.results import RoundRecord
from fedner.refusals import Refusal, RefusalCode, unusable
from fedner.tensors import State, check_like

_TYPICAL_ROUNDS = 5
_NORM_CHUNK = 1 << 16  # float64 copies of so many elements stay in a core's cache


def norm_of(arrays: State, origin: State | None = None) -> float:
    """Return the Euclidean norm of a state, or of its distance from another, all tensors together."""
    total = 0.0
    for name, array in arrays.items():
        flat = array.reshape(-1)
        start = None if origin is None else origin[name].reshape(-1)
        for part in (slice(at, at + _NORM_CHUNK) for at in range(0, flat.size, _NORM_CHUNK)):
            moved = flat[part] if start is None else flat[part] - start[part]
            total += float(np.square(moved, dtype=np.float64).sum())
    return math.sqrt(total)


def max_step_norm(training: TrainingConfig, arrays: State) -> float:
    """Return how far one step of AdamW can move the state from `arrays` at most, as a Euclidean norm.

    A coordinate moves by at most lr x max(1, (1 - beta1) / sqrt(1 - beta2)) (Kingma & Ba 2015, section 2.1), weight
    decay takes lr x weight_decay of it. Real training stays far below, random or foreign weights far above.
    """
    size = sum(array.size for array in arrays.values())
    stride = max(1.0, (1 - training.beta1) / math.sqrt(1 - training.beta2))
    return training.lr * (stride * math.sqrt(size) + training.weight_decay * norm_of(arrays))


@dataclass(frozen=True)
class TypicalUpdate:
    """Medians over the updates of the last rounds: Euclidean norm and optimizer steps."""

    norm: float
    steps: float

    def bound(self, steps: int, factor: float) -> float:
        """Return the largest norm that an update of some steps may have.

        Steps add up to between their square root (in all directions) and themselves (all in one), so that neither a
        site much larger than the others nor one much smaller is taken for a fault.
        """
        ratio = steps / self.steps
        return factor * self.norm * (ratio if ratio > 1 else math.sqrt(ratio))


def typical_update(rounds: Sequence[RoundRecord]) -> TypicalUpdate | None:
    """Return the typical update of the last rounds; None before the first.

    Medians of medians do not move for a few bad sites or one odd round, and depend on whole rounds alone, never on who
    was faster in this one.
    """
    last = [entry for entry in rounds[-_TYPICAL_ROUNDS:] if entry.update_norm and entry.update_steps]
    if not last:
        return None
    return TypicalUpdate(
        statistics.median(entry.update_norm or 0.0 for entry in last),
        statistics.median(entry.update_steps or 0.0 for entry in last),
    )


class Validation(Protocol):
    """Decides for a round which training replies may count."""

    def check(self, site: str, reply: TrainReply) -> float | Refusal:
        """Return the Euclidean norm of a reply's update, or why the reply must not count."""
        ...


@dataclass(frozen=True, kw_only=True)
class PlainValidation:
    """Validation of updates that the server can read: numbers, tensors and norms.

    Args:
        request: the request that the sites answer.
        training: how they train.
        declared: site -> training sentences it said it has.
        typical: the typical update of the last rounds.
        factor: how many times as far as that an update may go; None lets every update through.
    """

    request: TrainRequest
    training: TrainingConfig
    declared: Mapping[str, int]
    typical: TypicalUpdate | None
    factor: float | None

    @cached_property
    def _step_norm(self) -> float:
        return max_step_norm(self.training, self.request.arrays)

    def check(self, site: str, reply: TrainReply) -> float | Refusal:
        """Return the Euclidean norm of a reply's update, or why the reply must not count."""
        limits = Limits(
            examples=most_examples(self.declared[site], self.training),
            step_norm=self._step_norm,
            typical=self.typical,
            factor=self.factor,
            auxiliary={name: kind.max_norm(self.training) for name, kind in AUXILIARIES.items()},
        )
        return validate_update(reply, self.request, limits)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on one site's training reply.

    Args:
        examples: most sentences that it can have passed through training.
        step_norm: largest Euclidean norm of one optimizer step.
        typical: the typical update of the last rounds.
        factor: how many times as far as that an update may go; None lets every update through.
        auxiliary: name of auxiliary tensors -> largest Euclidean norm; no bound for a name that is missing.
    """

    examples: int
    step_norm: float
    typical: TypicalUpdate | None
    factor: float | None
    auxiliary: Mapping[str, float] = field(default_factory=dict[str, float])

    def norm(self, steps: int) -> float:
        """Return the largest norm of an update of some steps."""
        if self.factor is None:
            return math.inf
        possible = self.step_norm * steps
        return possible if self.typical is None else min(possible, self.typical.bound(steps, self.factor))


def validate_update(reply: TrainReply, sent: TrainRequest, limits: Limits) -> float | Refusal:
    """Return the norm of a reply's update, or why the reply must not count.

    Args:
        reply: the site's.
        sent: the request; names, shapes and dtypes of its tensors must come back as they went.
        limits: bounds on what this site can have done.
    """
    misfit = (
        check_header(reply.header, sent.header)
        or _check_numbers(reply, sent, limits)
        or _check_tensors(reply.arrays, sent.arrays, "reply")
    )
    if misfit is not None:
        return misfit
    norm, most = norm_of(reply.arrays, sent.arrays), limits.norm(reply.steps)
    if norm > most:
        asked = f"expected an update of norm {most:.3g} or less after {reply.steps} steps (federation.max_update_norm)"
        return unusable(RefusalCode.implausible, f"{asked}, got {norm:.3g}")
    return _check_auxiliary(reply, sent, limits) or norm


def _check_numbers(reply: TrainReply, sent: TrainRequest, limits: Limits) -> Refusal | None:
    if reply.started_from != sent.state:
        came = f"expected training from state {sent.state[:12]}, got one from {reply.started_from[:12]}"
        return unusable(RefusalCode.state, came)
    if reply.num_examples < 1 or reply.num_words < 1:
        return unusable(RefusalCode.empty, f"expected at least 1 training sentence and word, got {reply.num_examples}")
    if reply.num_examples > limits.examples or not 1 <= reply.steps <= reply.num_words:
        came = f"{reply.num_examples} sentences, {reply.num_words} words, {reply.steps} steps"
        possible = f"at most {limits.examples} sentences of this site in a round, and a word for every step"
        return unusable(RefusalCode.implausible, f"expected {possible}, got {came}")
    if not math.isfinite(reply.loss_sum):
        return unusable(RefusalCode.diverged, "the training loss is not finite; try a lower training.lr or fp32")
    return None


def _check_auxiliary(reply: TrainReply, sent: TrainRequest, limits: Limits) -> Refusal | None:
    for name in sorted({*sent.auxiliary, *reply.auxiliary}):
        kind, found = AUXILIARIES[name], reply.auxiliary.get(name, {})
        misfit = _check_tensors(found, sent.auxiliary.get(name, {}), f"reply, {kind.title}")
        if misfit is not None:
            return misfit
        norm, most = norm_of(found), limits.auxiliary.get(name, math.inf)
        if norm > most:
            asked = f"expected a {kind.title} changed by {most:.3g} or less ({kind.bound})"
            return unusable(RefusalCode.implausible, f"{asked}, got {norm:.3g}")
    return None


def _check_tensors(found: State, wanted: State, where: str) -> Refusal | None:
    try:
        check_like(found, wanted, where)
    except StateError as error:
        return unusable(error.code, str(error))
    broken = next((name for name, array in found.items() if not np.isfinite(array).all()), None)
    if broken is not None:
        return unusable(
            RefusalCode.diverged, f"{where}: tensor '{broken}' is not finite; try a lower training.lr or fp32"
        )
    return None


def check_header(found: Header, sent: Header) -> Refusal | None:
    """Return why a reply's header does not answer the request's, or None if it does."""
    if found.contract != sent.contract:
        return unusable(
            RefusalCode.labels, f"label contract {found.contract[:12]} is not the federation's {sent.contract[:12]}"
        )
    if (found.run, found.seed) != (sent.run, sent.seed):
        return unusable(RefusalCode.federation, f"expected a reply of run '{sent.run}', got one of '{found.run}'")
    if found.round != sent.round:
        return unusable(
            RefusalCode.federation, f"expected a reply of round {sent.round}, got one of round {found.round}"
        )
    return None
