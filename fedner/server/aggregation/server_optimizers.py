"""Server optimizers: the mean update is a gradient, and the server takes a step of its own along it.

FedAvgM: Hsu et al. 2019, Measuring the Effects of Non-Identical Data Distribution (momentum).
FedAdam, FedYogi, FedAdagrad: Reddi et al. 2021, Adaptive Federated Optimization, algorithm 2.

With x the state sent, D the weighted mean of the states received minus x, and lr, beta, tau from the config:

    FedAvgM       m = momentum m + D                          x' = x + lr m
    the others    m = beta1 m + (1 - beta1) D                 x' = x + lr m / (sqrt(v) + tau)
      FedAdam       v = beta2 v + (1 - beta2) D^2
      FedYogi       v = v - (1 - beta2) D^2 sign(v - D^2)
      FedAdagrad    v = v + D^2

Three choices where sources differ. (1) All moments start at zero, as in flwr; the paper allows any v >= tau^2, which
its proof needs and the arithmetic does not, tau being positive. (2) FedAdam has no bias correction, as in the paper.
flwr multiplies the step of round t by sqrt(1 - beta2^(t+1)) / (1 - beta1^(t+1)): the factor of Kingma & Ba 2015, but
counting rounds from 2, and derived for a negligible tau. Where a round moves a weight by less than tau, tau rules the
denominator and the factor merely lowers lr, down to 0.47 of it in round 12 (beta1 0.9, beta2 0.99). Apart from that
factor the two agree. (3) FedAdagrad heeds beta1, as in the paper; flwr fixes it at 0.

Arithmetic is float64, D included (the mean is not rounded first); state and moments become float32 once a round.
"""

from collections.abc import Callable

import numpy as np

from fedner.config import (
    AdaptiveAggregation,
    FedAdagradAggregation,
    FedAdamAggregation,
    FedAvgMAggregation,
    FedYogiAggregation,
)
from fedner.errors import ConfigError
from fedner.server.aggregation.mean import Float64s, MeanAccumulator
from fedner.tensors import State

MOMENTUM = "momentum"
FIRST = "first"
SECOND = "second"

Moments = dict[str, State]
Rule = Callable[[Float64s, dict[str, Float64s]], Float64s]
"""(D, moments), each of shape (n,) -> the step x' - x of shape (n,); puts their successors into `moments`."""


def momentum_step(
    config: FedAvgMAggregation, moments: Moments, before: State, mean: MeanAccumulator
) -> tuple[Moments, State]:
    """Take one FedAvgM step; return the next moments and the next state."""

    def rule(delta: Float64s, parts: dict[str, Float64s]) -> Float64s:
        parts[MOMENTUM] = config.momentum * parts[MOMENTUM] + delta
        return config.server_lr * parts[MOMENTUM]

    return advance(rule, moments, before, mean)


def adaptive_step(
    config: AdaptiveAggregation, moments: Moments, before: State, mean: MeanAccumulator
) -> tuple[Moments, State]:
    """Take one FedAdam, FedYogi or FedAdagrad step; return the next moments and the next state."""

    def rule(delta: Float64s, parts: dict[str, Float64s]) -> Float64s:
        parts[FIRST] = config.beta1 * parts[FIRST] + (1 - config.beta1) * delta
        parts[SECOND] = _second_moment(config, parts[SECOND], np.square(delta))
        return config.server_lr * parts[FIRST] / (np.sqrt(parts[SECOND]) + config.tau)

    return advance(rule, moments, before, mean)


def _second_moment(config: AdaptiveAggregation, previous: Float64s, square: Float64s) -> Float64s:
    match config:
        case FedAdamAggregation():
            return config.beta2 * previous + (1 - config.beta2) * square
        case FedYogiAggregation():
            return previous - (1 - config.beta2) * square * np.sign(previous - square)
        case FedAdagradAggregation():
            return previous + square
        case _:
            raise ConfigError(f"aggregation: expected fedadam, fedyogi or fedadagrad, got {type(config).__name__}")


def advance(rule: Rule, moments: Moments, before: State, mean: MeanAccumulator) -> tuple[Moments, State]:
    """Apply `rule` chunk by chunk, so that no float64 copy of a whole tensor is ever made."""
    after = {name: np.empty_like(array, order="C") for name, array in before.items()}
    advanced = {moment: {name: np.empty_like(after[name]) for name in after} for moment in moments}
    for name, array in before.items():
        for part, values in mean.mean_chunks(name):
            here = array.reshape(-1)[part].astype(np.float64)
            parts = {key: moments[key][name].reshape(-1)[part].astype(np.float64) for key in moments}
            after[name].reshape(-1)[part] = here + rule(values - here, parts)
            for key in moments:
                advanced[key][name].reshape(-1)[part] = parts[key]
    return advanced, after
