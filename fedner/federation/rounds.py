"""Who is asked, what counts, which round is best: pure decisions, without Flower, clocks or files."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from fedner.config import Weighting
from fedner.errors import FederationError, StateError
from fedner.federation.messages import Failure, Header, TrainReply
from fedner.seeding import generator
from fedner.state import State, check_like


def sample_sites(
    sites: Sequence[str], fraction: float, min_sites: int, seed: int, round_number: int
) -> tuple[str, ...]:
    """Choose the sites that train in a round, sorted by name; depends on the arguments and on nothing else.

    A share of `fraction` is asked, rounded to the nearest number, but never fewer than `min_sites` or one.

    Raises:
        FederationError: fewer sites are connected than `min_sites`.
    """
    names = sorted(sites)
    if len(names) < max(min_sites, 1):
        raise FederationError(
            f"round {round_number}: wanted at least {max(min_sites, 1)} sites (federation.min_sites), "
            f"found {len(names)} connected: {', '.join(names) or 'none'}"
        )
    wanted = min(len(names), max(min_sites, 1, math.floor(fraction * len(names) + 0.5)))
    if wanted == len(names):
        return tuple(names)
    chosen = generator(seed, "sample-sites", round_number).choice(len(names), size=wanted, replace=False)
    return tuple(sorted(names[int(index)] for index in chosen))


def weigh(reply: TrainReply, weighting: Weighting) -> float:
    """Return what a site's update weighs in mean-type aggregations."""
    match weighting:
        case Weighting.examples:
            return float(reply.num_examples)
        case Weighting.words:
            return float(reply.num_words)
        case Weighting.uniform:
            return 1.0


def judge(reply: TrainReply, sent: Header, arrays: State) -> Failure | None:
    """Return why a training reply must not count, or None if it may.

    Args:
        reply: what the site sent back.
        sent: the header of the request.
        arrays: the global state that was sent; names, shapes and dtypes must come back as they went.
    """
    misfit = check_header(reply.header, sent)
    if misfit is not None:
        return misfit
    if reply.num_examples < 1 or reply.num_words < 1:
        return Failure("empty", f"wanted at least 1 training sentence and word, found {reply.num_examples}")
    if not math.isfinite(reply.loss_sum):
        return Failure("diverged", "the training loss is not finite; try a lower training.lr or fp32")
    try:
        check_like(reply.arrays, arrays, "reply")
    except StateError as error:
        return Failure(error.code, str(error))
    broken = next((name for name, array in reply.arrays.items() if not np.isfinite(array).all()), None)
    if broken is not None:
        return Failure("diverged", f"tensor '{broken}' is not finite; try a lower training.lr or fp32")
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


def require_quorum(round_number: int, counted: int, min_sites: int, refused: Mapping[str, str]) -> None:
    """Refuse to go on with too few usable replies.

    Raises:
        FederationError: naming the sites that were refused and why.
    """
    if counted >= min_sites:
        return
    reasons = "; ".join(f"{site}: {reason}" for site, reason in sorted(refused.items())) or "no reply at all"
    raise FederationError(
        f"round {round_number}: wanted at least {min_sites} usable replies (federation.min_sites), "
        f"found {counted} ({reasons})"
    )
