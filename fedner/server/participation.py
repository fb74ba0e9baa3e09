"""Pure functions: sampling of participants, over-selection, weights, suspension, quorum."""

import math
from collections.abc import Collection, Mapping, Sequence

from fedner.config import FederationConfig, Weighting
from fedner.errors import QuorumError
from fedner.protocol.messages import TrainReply
from fedner.records.results import RoundRecord
from fedner.refusals import Refusal
from fedner.seeding import generator


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
        there = f"got {len(names)}: {', '.join(names) or 'none'}"
        wanted = f"expected at least {config.min_sites} sites (federation.min_sites)"
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
    """Return the weight of a site's update in mean-type aggregations."""
    match config.weighting:
        case Weighting.examples:
            return float(reply.num_examples)
        case Weighting.words:
            return float(reply.num_words)
        case Weighting.uniform:
            return 1.0
        case Weighting.capped:
            return min(float(reply.num_examples), config.weight_cap or math.inf)


def suspended(rounds: Sequence[RoundRecord], max_refusals: int | None) -> dict[str, Refusal]:
    """Return the sites whose updates were refused too often in a row, each with the last reason.

    A site is not suspended for being silent, for a process that ended, or for a policy that allows other hours: it may
    answer at any later time.
    """
    if max_refusals is None:
        return {}
    row: dict[str, int] = {}
    reasons: dict[str, Refusal] = {}
    for entry in rounds:
        for site in entry.sites:
            row[site] = 0
        for site, refusal in entry.refused.items():
            if site not in entry.sites and not refusal.is_temporary:
                row[site] = row.get(site, 0) + 1
                reasons[site] = refusal
    return {site: reasons[site] for site, number in sorted(row.items()) if number >= max_refusals}


def missing_for_quorum(counted: Collection[str], declared: Mapping[str, int], config: FederationConfig) -> list[str]:
    """Return the unmet conditions of a quorum, in words; empty if the usable replies are one.

    Args:
        counted: sites whose replies are usable.
        declared: site -> training sentences it said it has, of all that ever took part.
        config: number, share and names that a round needs.
    """
    share = sum(declared[site] for site in counted) / max(sum(declared.values()), 1)
    missing: list[str] = []
    if len(counted) < config.min_sites:
        missing.append(f"at least {config.min_sites} usable replies (federation.min_sites), got {len(counted)}")
    if share < config.min_share:
        missing.append(f"{config.min_share:.0%} of all training sentences (federation.min_share), got {share:.0%}")
    absent = sorted(set(config.mandatory) - set(counted))
    if absent:
        missing.append(f"a usable reply of {', '.join(absent)} (federation.mandatory)")
    return missing


def require_quorum(
    round_number: int,
    counted: Collection[str],
    declared: Mapping[str, int],
    config: FederationConfig,
    refused: Mapping[str, Refusal],
) -> None:
    """Check that the usable replies are a quorum.

    Args:
        round_number: where this happens.
        counted: as in `missing_for_quorum`, like the next two.
        declared: sizes.
        config: needs.
        refused: site -> why it does not count.

    Raises:
        QuorumError: with the unmet conditions, the sites that were refused, and why.
    """
    missing = missing_for_quorum(counted, declared, config)
    if missing:
        reasons = "; ".join(f"{site}: {reason}" for site, reason in sorted(refused.items())) or "no reply at all"
        raise QuorumError(f"round {round_number}: expected {'; expected '.join(missing)} ({reasons})", refused)
