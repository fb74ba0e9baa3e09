"""The server's side of methods against drift: FedNova, FedDyn, and SCAFFOLD's control variate.

FedNova: Wang et al. 2020, Tackling the Objective Inconsistency Problem in Heterogeneous Federated Optimization. With
n_i examples and t_i local steps of site i, p_i = n_i / sum n and x the state sent,

    x' = x + (sum p_i t_i) sum p_i (y_i - x) / t_i

so that a site that takes more steps does not weigh more for that as well. (The paper divides by the norm of a vector
that depends on the local optimizer; for plain steps it is t_i, and AdamW's steps are of about one length.)

FedDyn: Acar et al. 2021, Federated Learning Based on Dynamic Regularization, algorithm 1. With m sites in all, the set
P that counted, and y their mean,

    u = u - (|P| / m) (y - x)        x' = y - u

where u is the paper's h / alpha: alpha then appears at the sites only (`fedner.learning.training.proximal_terms`). The
paper's mean is uniform (federation.weighting=uniform).

SCAFFOLD: Karimireddy et al. 2020, SCAFFOLD: Stochastic Controlled Averaging for Federated Learning, algorithm 1. Each
site sends the change of its control variate; of N sites in all, those in S counted:

    c = c + (|S| / N) mean of the changes

whatever the aggregation of the states. The paper's weights are uniform and its server learning rate is free.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from fedner.errors import FederationError, StateError
from fedner.protocol.auxiliary import CONTROL
from fedner.server.aggregation.mean import Float64s, MeanAccumulator, fold
from fedner.server.aggregation.server_optimizers import Moments, advance
from fedner.server.aggregation.updates import Update
from fedner.tensors import State

DRIFT = "drift"


@dataclass
class _Nova:
    """Exact sums over the sites: n, n t and n / t."""

    examples: Fraction = field(default_factory=Fraction)
    weighted_steps: Fraction = field(default_factory=Fraction)
    weights: Fraction = field(default_factory=Fraction)

    def normalised(self, updates: Iterable[Update]) -> Iterator[Update]:
        """Yield the updates, weighing n / t, and add up."""
        for update in updates:
            if update.steps < 1:
                raise FederationError(f"update of site '{update.site}': expected at least 1 step, got {update.steps}")
            # The quotient is rounded, but for each site alike whatever the order.
            shared = replace(update, weight=update.weight / update.steps)
            self.examples += Fraction(update.weight)
            self.weighted_steps += Fraction(update.weight) * update.steps
            self.weights += Fraction(shared.weight)
            yield shared
            del update, shared

    def factor(self) -> float:
        """Return the factor of the weighted mean of y - x."""
        return float(self.weighted_steps * self.weights / self.examples**2)


def nova_step(before: State, updates: Iterable[Update]) -> State:
    """Return the state after one FedNova round."""
    sums = _Nova()
    mean = fold(before, sums.normalised(updates))
    factor = sums.factor()

    def rule(delta: Float64s, parts: dict[str, Float64s]) -> Float64s:
        return factor * delta

    return advance(rule, {}, before, mean)[1]


def dynamic_step(
    moments: Moments, before: State, mean: MeanAccumulator, num_sites: int | None
) -> tuple[Moments, State]:
    """Take one FedDyn step; return the next moments and the next state."""
    share = mean.num_updates / (num_sites or mean.num_updates)

    def rule(delta: Float64s, parts: dict[str, Float64s]) -> Float64s:
        parts[DRIFT] = parts[DRIFT] - share * delta
        return delta - parts[DRIFT]

    return advance(rule, moments, before, mean)


class ControlChange:
    """The mean change of the sites' control variates, taken from the updates as they pass by.

    Args:
        control: SCAFFOLD's c before the round.
    """

    def __init__(self, control: State) -> None:
        self._control = control
        self._mean = MeanAccumulator(control)

    def watch(self, updates: Iterable[Update]) -> Iterator[Update]:
        """Yield the updates; each one's change is added.

        Raises:
            StateError: an update has none.
        """
        for update in updates:
            change = update.auxiliary.get(CONTROL)
            if change is None:
                raise StateError(
                    f"update of site '{update.site}': expected the change of its control variate, got none"
                )
            self._mean.add(Update(site=update.site, arrays=change, weight=1.0))
            yield replace(update, auxiliary={})
            del update, change

    def after(self, num_sites: int | None) -> State:
        """Return c after the round, of so many sites in all; None means that all have counted."""
        share = self._mean.num_updates / (num_sites or self._mean.num_updates)
        after = {name: np.empty_like(array, order="C") for name, array in self._control.items()}
        for name, array in self._control.items():
            for part, values in self._mean.mean_chunks(name):
                after[name].reshape(-1)[part] = array.reshape(-1)[part] + share * values
        return after
