"""Who is asked, what counts, which round is best: pure decisions, without Flower, clocks or files."""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedner.config import FederationConfig, TrainingConfig, Weighting
from fedner.errors import QuorumError, StateError
from fedner.federation.messages import Failure, Header, TrainReply, TrainRequest
from fedner.results import RoundResult, best_round, is_passing
from fedner.seeding import generator
from fedner.state import State, check_like

_TYPICAL_ROUNDS = 5
_ROUNDING = 1.01  # what half precision on the wire may add to a norm
_NORM_CHUNK = 1 << 16  # float64 copies of so many elements stay in a core's cache


def sample_sites(sites: Sequence[str], config: FederationConfig, seed: int, round_number: int) -> tuple[str, ...]:
    """Choose the sites that train in a round, sorted by name; depends on the arguments and on nothing else.

    A share of `config.fraction` is asked, rounded to the nearest number, but never fewer than `config.min_sites` or
    one; mandatory sites always are.

    Raises:
        QuorumError: fewer sites are connected than `config.min_sites`, or a mandatory one is not.
    """
    names = sorted(sites)
    missing = sorted(set(config.mandatory) - set(names))
    if missing or len(names) < config.min_sites:
        there = f"found {len(names)} at hand: {', '.join(names) or 'none'}"
        wanted = f"wanted at least {config.min_sites} sites (federation.min_sites)"
        wanted += f" and {', '.join(missing)} (federation.mandatory)" if missing else ""
        raise QuorumError(f"round {round_number}: {wanted}, {there}", {})
    wanted_number = min(len(names), max(config.min_sites, 1, math.floor(config.fraction * len(names) + 0.5)))
    if wanted_number == len(names):
        return tuple(names)
    others = [name for name in names if name not in config.mandatory]
    drawn = max(0, wanted_number - len(config.mandatory))
    chosen = generator(seed, "sample-sites", round_number).choice(len(others), size=drawn, replace=False)
    return tuple(sorted([*config.mandatory, *(others[int(index)] for index in chosen)]))


def draw_spares(
    sites: Sequence[str], asked: Sequence[str], config: FederationConfig, seed: int, round_number: int
) -> tuple[str, ...]:
    """Choose up to `config.spares` of the sites that are not asked, in the order in which they step in."""
    others = sorted(set(sites) - set(asked))
    order = generator(seed, "spares", round_number).permutation(len(others))[: config.spares]
    return tuple(others[int(index)] for index in order)


def weigh(reply: TrainReply, config: FederationConfig) -> float:
    """Return what a site's update weighs in mean-type aggregations."""
    match config.weighting:
        case Weighting.examples:
            return float(reply.num_examples)
        case Weighting.words:
            return float(reply.num_words)
        case Weighting.uniform:
            return 1.0
        case Weighting.capped:
            return min(float(reply.num_examples), config.weight_cap or math.inf)


def most_examples(declared: int, training: TrainingConfig) -> int:
    """Return how many sentences a site of that many can pass through training in a round at most."""
    if training.steps is not None:
        return training.steps * training.gradient_accumulation * training.batch_size
    # Whole epochs begin where an epoch begins; a fraction may lie across the border of two more.
    passes = math.ceil(training.epochs) + (0 if float(training.epochs).is_integer() else 1)
    return passes * declared


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


def reach_of_step(training: TrainingConfig, arrays: State) -> float:
    """Return how far one step of AdamW can move the state from `arrays` at most, as a Euclidean norm.

    A coordinate moves by at most lr x max(1, (1 - beta1) / sqrt(1 - beta2)) (Kingma & Ba 2015, section 2.1), weight
    decay takes lr x weight_decay of it. Real training stays far below, random or foreign weights far above.
    """
    size = sum(array.size for array in arrays.values())
    stride = max(1.0, (1 - training.beta1) / math.sqrt(1 - training.beta2))
    return training.lr * (stride * math.sqrt(size) + training.weight_decay * norm_of(arrays))


def reach_of_control(training: TrainingConfig) -> float:
    """Return how far SCAFFOLD's control variate of a site can move in a round at most, as a Euclidean norm.

    Before and after it is a mean of gradients that were clipped. Nothing is known of gradients that are not.
    """
    return math.inf if training.max_grad_norm is None else 2 * _ROUNDING * training.max_grad_norm


@dataclass(frozen=True)
class Typical:
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


def typical_update(rounds: Sequence[RoundResult]) -> Typical | None:
    """Return what the last rounds' updates were like; None before the first.

    Medians of medians do not move for a few bad sites or one odd round, and depend on whole rounds alone, never on who
    was faster in this one.
    """
    last = [entry for entry in rounds[-_TYPICAL_ROUNDS:] if entry.update_norm and entry.update_steps]
    if not last:
        return None
    return Typical(
        statistics.median(entry.update_norm or 0.0 for entry in last),
        statistics.median(entry.update_steps or 0.0 for entry in last),
    )


def suspended(rounds: Sequence[RoundResult], max_refusals: int | None) -> dict[str, str]:
    """Return the sites whose updates were refused too often in a row, each with the last reason.

    A site that was silent, whose process ended or whose policy allows other hours may answer at any later time and is
    not counted out for that.
    """
    if max_refusals is None:
        return {}
    row: dict[str, int] = {}
    reasons: dict[str, str] = {}
    for entry in rounds:
        for site in entry.sites:
            row[site] = 0
        for site, reason in entry.refused.items():
            if site not in entry.sites and not is_passing(reason):
                row[site] = row.get(site, 0) + 1
                reasons[site] = reason
    return {site: reasons[site] for site, number in sorted(row.items()) if number >= max_refusals}


def out_of_patience(rounds: Sequence[RoundResult], patience: int | None) -> bool:
    """Say whether the best round is so long ago that training should stop."""
    return patience is not None and bool(rounds) and rounds[-1].round - best_round(rounds) >= patience


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
    typical: Typical | None
    factor: float | None
    control: float = math.inf

    def norm(self, steps: int) -> float:
        """Return the largest norm of an update of some steps."""
        if self.factor is None:
            return math.inf
        possible = self.reach * steps
        return possible if self.typical is None else min(possible, self.typical.bound(steps, self.factor))


def judge(reply: TrainReply, sent: TrainRequest, limits: Limits) -> Failure | float:
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
        return Failure("empty", f"wanted at least 1 training sentence and word, found {reply.num_examples}")
    if reply.num_examples > limits.examples or not 1 <= reply.steps <= reply.num_words:
        told = f"{reply.num_examples} sentences, {reply.num_words} words, {reply.steps} steps"
        wanted = f"at most {limits.examples} sentences of this site in a round, and a word for every step"
        return Failure("implausible", f"wanted {wanted}, found {told}")
    if not math.isfinite(reply.loss_sum):
        return Failure("diverged", "the training loss is not finite; try a lower training.lr or fp32")
    misfit = _check_tensors(reply.arrays, sent.arrays, "reply")
    if misfit is None and (sent.control is not None or reply.control is not None):
        misfit = _check_tensors(reply.control or {}, sent.control or {}, "reply, control variate")
    if misfit is not None:
        return misfit
    norm, most = norm_of(reply.arrays, sent.arrays), limits.norm(reply.steps)
    if norm > most:
        asked = f"wanted an update of norm {most:.3g} or less after {reply.steps} steps (federation.max_update_norm)"
        return Failure("implausible", f"{asked}, found {norm:.3g}")
    changed = norm_of(reply.control or {})
    if changed > limits.control:
        asked = f"wanted a control variate changed by {limits.control:.3g} or less (twice training.max_grad_norm)"
        return Failure("implausible", f"{asked}, found {changed:.3g}")
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
        return Failure("federation", f"wanted a reply of run '{sent.run}', found one of '{found.run}'")
    if found.round != sent.round:
        return Failure("federation", f"wanted a reply of round {sent.round}, found one of round {found.round}")
    return None


def missing_for_quorum(counted: Collection[str], declared: Mapping[str, int], config: FederationConfig) -> list[str]:
    """Return what the usable replies lack to be a quorum, in words; nothing if they are one.

    Args:
        counted: sites whose replies are usable.
        declared: site -> training sentences it said it has, of all that ever took part.
        config: number, share and names that a round needs.
    """
    share = sum(declared[site] for site in counted) / max(sum(declared.values()), 1)
    missing: list[str] = []
    if len(counted) < config.min_sites:
        missing.append(f"at least {config.min_sites} usable replies (federation.min_sites), found {len(counted)}")
    if share < config.min_share:
        missing.append(f"{config.min_share:.0%} of all training sentences (federation.min_share), found {share:.0%}")
    absent = sorted(set(config.mandatory) - set(counted))
    if absent:
        missing.append(f"a usable reply of {', '.join(absent)} (federation.mandatory)")
    return missing


def require_quorum(
    round_number: int,
    counted: Collection[str],
    declared: Mapping[str, int],
    config: FederationConfig,
    refused: Mapping[str, str],
) -> None:
    """Refuse to go on with too few usable replies.

    Args:
        round_number: where this happens.
        counted: as in `missing_for_quorum`, like the next two.
        declared: sizes.
        config: needs.
        refused: site -> why it does not count.

    Raises:
        QuorumError: naming what is missing, the sites that were refused, and why.
    """
    missing = missing_for_quorum(counted, declared, config)
    if missing:
        reasons = "; ".join(f"{site}: {reason}" for site, reason in sorted(refused.items())) or "no reply at all"
        raise QuorumError(f"round {round_number}: wanted {'; wanted '.join(missing)} ({reasons})", refused)
