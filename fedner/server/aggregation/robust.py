"""Aggregations that bear a few sites sending anything at all: every site counts once, whatever it claims to weigh.

Median, trimmed mean: Yin et al. 2018, Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates.
Krum, Multi-Krum: Blanchard et al. 2017, Machine Learning with Adversaries.
Bulyan: El Mhamdi et al. 2018, The Hidden Vulnerability of Distributed Learning in Byzantium.

All updates must be buffered, in memory or on disk (`buffer`); they are worked on chunk by chunk. They are sorted by
site, and ties go to the first site, so that their order of arrival is irrelevant. Where flwr and the papers differ we
follow the papers:

- Weights are not used. flwr weighs what Multi-Krum selected by what the sites claim, which hands a malicious site among
  them the power the selection was to take away.
- Krum scores a site by its distances to others, computed from differences. flwr takes the nearest-but-one in a row of
  the distance matrix to leave out the site itself, which fails when two sites send the same, and gets distances from
  norms and inner products, which cancel.
- For f malicious sites Krum needs n >= 2f + 3 updates and Bulyan n >= 4f + 3; fewer are refused (in flwr by Bulyan
  only).
- Bulyan selects by repeated Krum, scoring anew among those left; flwr takes the best of one scoring.

Bulyan's centre for an even count is the mean of the middle two, as in flwr; the paper takes one of the two.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fedner.errors import FederationError
from fedner.server.aggregation.buffer import KeptUpdates, Spill, keep
from fedner.server.aggregation.mean import Float64s, fold
from fedner.server.aggregation.updates import Update
from fedner.tensors import State

_Reduction = Callable[[NDArray[np.float32]], Float64s]
"""Sorted values of shape (sites, n), ascending along the sites -> shape (n,)."""


def median(before: State, updates: Iterable[Update], spill: Spill | None = None) -> State:
    """Return the coordinate-wise median; the mean of the middle two for an even number of updates."""
    with keep(before, updates, spill) as kept:
        return _reduce_sorted(kept, before, _middle)


def trimmed_mean(before: State, updates: Iterable[Update], trim: float, spill: Spill | None = None) -> State:
    """Return the coordinate-wise mean without the int(trim * n) lowest and as many highest of n values.

    Args:
        before: the state sent; gives names, shapes and dtypes.
        updates: one per site.
        trim: share cut off at each end, [0, 0.5); rounds down, as flwr and SciPy do.
        spill: where updates lie that memory is not to hold.
    """
    with keep(before, updates, spill) as kept:
        cut = int(trim * len(kept))
        inner = slice(cut, len(kept) - cut)
        return _reduce_sorted(kept, before, lambda values: values[inner].mean(axis=0, dtype=np.float64))


def krum(before: State, updates: Iterable[Update], malicious: int, select: int, spill: Spill | None = None) -> State:
    """Return the unweighted mean of the `select` updates with the lowest Krum scores (1 is Krum, more Multi-Krum).

    Raises:
        FederationError: fewer than 2 * malicious + 3 updates, or `select` would have to take a malicious one.
    """
    with keep(before, updates, spill) as kept:
        _require_updates(len(kept), 2 * malicious + 3, "Krum", malicious)
        if select > len(kept) - malicious:
            raise FederationError(
                f"Krum with select={select}: of {len(kept)} updates, {malicious} are assumed malicious, so that at "
                f"most {len(kept) - malicious} may be averaged; lower aggregation.select"
            )
        scores = krum_scores(squared_distances(kept, before), malicious)
        best = np.argsort(scores, kind="stable")[:select]
        return fold(before, (replace(kept.update(int(index)), weight=1.0) for index in best)).mean()


def bulyan(before: State, updates: Iterable[Update], malicious: int, spill: Spill | None = None) -> State:
    """Select n - 2f updates by repeated Krum, then average per coordinate the n - 4f values nearest their median.

    Of two values equally near the median the lower one is taken.

    Raises:
        FederationError: fewer than 4 * malicious + 3 updates.
    """
    with keep(before, updates, spill) as kept:
        _require_updates(len(kept), 4 * malicious + 3, "Bulyan", malicious)
        chosen = _select_repeatedly(squared_distances(kept, before), malicious, len(kept) - 2 * malicious)
        num_near = len(chosen) - 2 * malicious
        return _reduce_sorted(kept, before, lambda values: _mean_around_middle(values, num_near), chosen)


def squared_distances(kept: KeptUpdates, like: State) -> Float64s:
    """Return the squared Euclidean distances between whole states, shape (sites, sites), symmetric, diagonal 0."""
    count = len(kept)
    distances = np.zeros((count, count))
    for name in like:
        for _, values in kept.chunks(name):
            block = values.astype(np.float64)
            for i in range(count - 1):
                distances[i, i + 1 :] += np.square(block[i + 1 :] - block[i]).sum(axis=1)
    return distances + distances.T


def krum_scores(distances: Float64s, malicious: int) -> Float64s:
    """Return each site's sum of squared distances to its n - malicious - 2 (at least 1) nearest others, shape (n,)."""
    count = len(distances)
    nearest = max(1, count - malicious - 2)
    others = distances[~np.eye(count, dtype=bool)].reshape(count, count - 1)
    return np.sort(others, axis=1)[:, :nearest].sum(axis=1)


def _select_repeatedly(distances: Float64s, malicious: int, wanted: int) -> list[int]:
    left = list(range(len(distances)))
    chosen: list[int] = []
    while len(chosen) < wanted:
        scores = krum_scores(distances[np.ix_(left, left)], malicious)
        chosen.append(left.pop(int(np.argmin(scores))))
    return sorted(chosen)


def _middle(values: NDArray[np.float32]) -> Float64s:
    low, high = (len(values) - 1) // 2, len(values) // 2
    return (values[low].astype(np.float64) + values[high]) / 2


def _mean_around_middle(values: NDArray[np.float32], num_kept: int) -> Float64s:
    wide = values.astype(np.float64)
    nearest = np.argsort(np.abs(wide - _middle(values)), axis=0, kind="stable")[:num_kept]
    return np.take_along_axis(wide, nearest, axis=0).mean(axis=0)


def _reduce_sorted(kept: KeptUpdates, like: State, reduction: _Reduction, chosen: Sequence[int] | None = None) -> State:
    state: State = {}
    for name, array in like.items():
        flat = np.empty(array.size, dtype=np.float32)
        for part, values in kept.chunks(name, chosen):
            flat[part] = reduction(np.sort(values, axis=0))
        state[name] = flat.reshape(array.shape)
    return state


def _require_updates(found: int, wanted: int, rule: str, malicious: int) -> None:
    if found < wanted:
        raise FederationError(
            f"{rule} with malicious={malicious}: expected at least {wanted} updates, got {found}; "
            "lower aggregation.malicious, ask more sites, or choose aggregation=median"
        )
