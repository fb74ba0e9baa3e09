"""How the server turns the sites' updates into the next global state: pure functions over explicit state.

`init(config, arrays)` makes the state of round 0 and `step(config, state, before, updates)` returns the next one with
the next tensors. The result is the same, bit for bit, for every order of updates. Mean types take the updates one by
one and release them, so a generator keeps memory independent of the number of sites; robust types need all of them
and buffer them on disk beyond a memory limit.
"""

from collections.abc import Iterable

import numpy as np

from fedner.config import (
    AdaptiveAggregation,
    AggregationConfig,
    BulyanAggregation,
    FedAvgAggregation,
    FedAvgMAggregation,
    FedDynAggregation,
    FedNovaAggregation,
    KrumAggregation,
    MedianAggregation,
    TrimmedMeanAggregation,
)
from fedner.errors import ConfigError, StateError
from fedner.protocol.auxiliary import CONTROL
from fedner.server.aggregation.buffer import Spill
from fedner.server.aggregation.drift_correction import DRIFT, ControlChange, dynamic_step, nova_step
from fedner.server.aggregation.mean import MeanAccumulator, fold
from fedner.server.aggregation.robust import bulyan, krum, median, trimmed_mean
from fedner.server.aggregation.server_optimizers import FIRST, MOMENTUM, SECOND, Moments, adaptive_step, momentum_step
from fedner.server.aggregation.updates import AggregationState, Update
from fedner.tensors import State, check_like

__all__ = ["AggregationState", "MeanAccumulator", "Spill", "Update", "init", "step"]


def init(config: AggregationConfig, arrays: State, scaffold: bool = False) -> AggregationState:
    """Return the state before the first round: no rounds, all moments zero.

    Args:
        config: the aggregation.
        arrays: the initial global state; gives names, shapes and dtypes.
        scaffold: whether to keep a control variate, as the moment `CONTROL`.
    """
    moments = {
        moment: {name: np.zeros_like(array, order="C") for name, array in arrays.items()}
        for moment in (*_moment_names(config), *([CONTROL] if scaffold else []))
    }
    return AggregationState(round=0, moments=moments)


def step(
    config: AggregationConfig,
    state: AggregationState,
    before: State,
    updates: Iterable[Update],
    num_sites: int | None = None,
    spill: Spill | None = None,
) -> tuple[AggregationState, State]:
    """Aggregate one round; return the next aggregation state and the next global state, in float32.

    Nothing passed in is changed. A single update is aggregated like any other number where the rule allows it.

    Args:
        config: the aggregation.
        state: from `init` or the step before.
        before: the global state the sites started from.
        updates: one per site, in any order.
        num_sites: how many sites the federation has, for FedDyn and SCAFFOLD; None means that all have counted.
        spill: buffer on disk for robust types beyond a memory limit; changes no bit of the result.

    Raises:
        StateError: an update's tensors are not those of `before`, or `state` belongs to another aggregation or model.
        FederationError: no update, too few for the rule, two of one site, a weight out of range or only zero weights.
        RunDirectoryError: `spill` has no room for an update.
    """
    _check_moments(config, state, before)
    control = state.moments.get(CONTROL)
    moments = {name: tensors for name, tensors in state.moments.items() if name != CONTROL}
    if control is None:
        moments, after = _step(config, moments, before, updates, num_sites, spill)
    else:
        change = ControlChange(control)
        moments, after = _step(config, moments, before, change.watch(updates), num_sites, spill)
        moments = {**moments, CONTROL: change.after(num_sites)}
    return AggregationState(round=state.round + 1, moments=moments), after


def _step(
    config: AggregationConfig,
    moments: Moments,
    before: State,
    updates: Iterable[Update],
    num_sites: int | None,
    spill: Spill | None,
) -> tuple[Moments, State]:
    match config:
        case FedAvgAggregation():
            after = fold(before, updates).mean()
        case FedAvgMAggregation():
            moments, after = momentum_step(config, moments, before, fold(before, updates))
        case AdaptiveAggregation():
            moments, after = adaptive_step(config, moments, before, fold(before, updates))
        case FedNovaAggregation():
            after = nova_step(before, updates)
        case FedDynAggregation():
            moments, after = dynamic_step(moments, before, fold(before, updates), num_sites)
        case MedianAggregation():
            after = median(before, updates, spill)
        case TrimmedMeanAggregation():
            after = trimmed_mean(before, updates, config.trim, spill)
        case KrumAggregation():
            after = krum(before, updates, config.malicious, config.select, spill)
        case BulyanAggregation():
            after = bulyan(before, updates, config.malicious, spill)
        case _:
            raise ConfigError(f"aggregation: expected one of the known classes, got {type(config).__name__}")
    return moments, after


def _moment_names(config: AggregationConfig) -> list[str]:
    match config:
        case FedAvgMAggregation():
            return [MOMENTUM]
        case AdaptiveAggregation():
            return [FIRST, SECOND]
        case FedDynAggregation():
            return [DRIFT]
        case _:
            return []


def _check_moments(config: AggregationConfig, state: AggregationState, before: State) -> None:
    wanted = [*_moment_names(config), *([CONTROL] if CONTROL in state.moments else [])]
    if sorted(state.moments) != sorted(wanted):
        raise StateError(
            f"aggregation state: {config.kind} expected the moments {wanted}, got {sorted(state.moments)}; "
            "a run must be resumed with the aggregation it was started with"
        )
    tensors = dict(sorted(before.items()))
    for moment in wanted:
        # A file need not keep the order of tensors (safetensors does not), and moments are looked up by name.
        found = dict(sorted(state.moments[moment].items()))
        check_like(found, tensors, f"aggregation state: moment '{moment}'")
