"""Who is asked, what counts, which round is best: pure decisions, without Flower, clocks or files."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedner.config import TrainingConfig
from fedner.errors import StateError
from fedner.protocol.messages import Failure, Header, TrainReply, TrainRequest
from fedner.records.results import RoundResult
from fedner.tensors import State, check_like

_TYPICAL_ROUNDS = 5
_ROUNDING = 1.01  # what half precision on the wire may add to a norm
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


def max_control_change(training: TrainingConfig) -> float:
    """Return how far SCAFFOLD's control variate of a site can move in a round at most, as a Euclidean norm.

    Before and after it is a mean of gradients that were clipped. Nothing is known of gradients that are not.
    """
    return math.inf if training.max_grad_norm is None else 2 * _ROUNDING * training.max_grad_norm


@dataclass(frozen=True)
class UpdateStatistics:
    """What updates were like of late: Euclidean norm and optimizer steps, medians."""

    norm: float
    steps: float

    def bound(self, steps: int, factor: float) -> float:
        """Return the largest norm that an update of some steps may have.

        Steps add up to between their square root (in all directions) and themselves (all in one), so that neither a
        site much larger than the others nor one much smaller is taken for a fault.
        """
        ratio = steps / self.steps
        return factor * self.norm * (ratio if ratio > 1 else math.sqrt(ratio))


def recent_updates(rounds: Sequence[RoundResult]) -> UpdateStatistics | None:
    """Return what the last rounds' updates were like; None before the first.

    Medians of medians do not move for a few bad sites or one odd round, and depend on whole rounds alone, never on who
    was faster in this one.
    """
    last = [entry for entry in rounds[-_TYPICAL_ROUNDS:] if entry.update_norm and entry.update_steps]
    if not last:
        return None
    return UpdateStatistics(
        statistics.median(entry.update_norm or 0.0 for entry in last),
        statistics.median(entry.update_steps or 0.0 for entry in last),
    )


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a site's training reply must stay within.

    Args:
        examples: sentences it can have passed through training.
        reach: how far one optimizer step can go.
        typical: what earlier updates were like.
        factor: how many times as far an update may go as those; None lets every update through.
        control: how far SCAFFOLD's control variate of a site can move in a round.
    """

    examples: int
    reach: float
    typical: UpdateStatistics | None
    factor: float | None
    control: float = math.inf

    def norm(self, steps: int) -> float:
        """Return the largest norm of an update of some steps."""
        if self.factor is None:
            return math.inf
        possible = self.reach * steps
        return possible if self.typical is None else min(possible, self.typical.bound(steps, self.factor))


def validate_update(reply: TrainReply, sent: TrainRequest, limits: Limits) -> Failure | float:
    """Return why a training reply must not count, or the norm of its update if it may.

    Args:
        reply: what the site sent back.
        sent: the request; names, shapes and dtypes of its tensors must come back as they went.
        limits: what this site can plausibly have done.
    """
    misfit = check_header(reply.header, sent.header)
    if misfit is not None:
        return misfit
    if reply.num_examples < 1 or reply.num_words < 1:
        return Failure("empty", f"expected at least 1 training sentence and word, got {reply.num_examples}")
    if reply.num_examples > limits.examples or not 1 <= reply.steps <= reply.num_words:
        told = f"{reply.num_examples} sentences, {reply.num_words} words, {reply.steps} steps"
        wanted = f"at most {limits.examples} sentences of this site in a round, and a word for every step"
        return Failure("implausible", f"expected {wanted}, got {told}")
    if not math.isfinite(reply.loss_sum):
        return Failure("diverged", "the training loss is not finite; try a lower training.lr or fp32")
    misfit = _check_tensors(reply.arrays, sent.arrays, "reply")
    if misfit is None and (sent.control is not None or reply.control is not None):
        misfit = _check_tensors(reply.control or {}, sent.control or {}, "reply, control variate")
    if misfit is not None:
        return misfit
    norm, most = norm_of(reply.arrays, sent.arrays), limits.norm(reply.steps)
    if norm > most:
        asked = f"expected an update of norm {most:.3g} or less after {reply.steps} steps (federation.max_update_norm)"
        return Failure("implausible", f"{asked}, got {norm:.3g}")
    changed = norm_of(reply.control or {})
    if changed > limits.control:
        asked = f"expected a control variate changed by {limits.control:.3g} or less (twice training.max_grad_norm)"
        return Failure("implausible", f"{asked}, got {changed:.3g}")
    return norm


def _check_tensors(found: State, wanted: State, where: str) -> Failure | None:
    try:
        check_like(found, wanted, where)
    except StateError as error:
        return Failure(error.code, str(error))
    broken = next((name for name, array in found.items() if not np.isfinite(array).all()), None)
    if broken is not None:
        return Failure("diverged", f"{where}: tensor '{broken}' is not finite; try a lower training.lr or fp32")
    return None


def check_header(found: Header, sent: Header) -> Failure | None:
    """Return why a reply's header does not answer the request's, or None if it does."""
    if found.contract != sent.contract:
        return Failure("labels", f"label contract {found.contract[:12]} is not the federation's {sent.contract[:12]}")
    if (found.run, found.seed) != (sent.run, sent.seed):
        return Failure("federation", f"expected a reply of run '{sent.run}', got one of '{found.run}'")
    if found.round != sent.round:
        return Failure("federation", f"expected a reply of round {sent.round}, got one of round {found.round}")
    return None
