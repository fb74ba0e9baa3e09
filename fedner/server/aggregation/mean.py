"""Weighted mean of states, folded one update at a time, exact and therefore independent of their order.

McMahan et al. 2017, Communication-Efficient Learning of Deep Networks from Decentralized Data (FedAvg).

A float64 sum depends on the order of its terms because every addition rounds. Here nothing is lost: float32 x integer
weight (below 2**29) is exact in float64, and Knuth's TwoSum gives each addition's rounding error exactly. Where that
error is not zero it is added to a second array, that one's error to a third, and so on (a floating-point expansion,
Shewchuk 1997). The arrays together always hold the exact sum, so rounding it once at the end gives the same bits for
every order of arrival. Errors are rare (a value has 24 bits, its sum 53), so the further arrays exist only for the few
chunks that need them: memory stays at one float64 per parameter, and another where bits were lost, whatever the number
of sites (benchmarks/memory.py), and time within about twice that of a plain float64 sum (benchmarks/aggregation.py).
"""

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fedner.errors import FederationError, StateError
from fedner.server.aggregation.updates import Update, check_update
from fedner.tensors import State

Float64s = NDArray[np.float64]

CHUNK = 16_384
"""Elements worked on at a time: the five arrays of this length in play stay in a core's second-level cache."""


def fold(before: State, updates: Iterable[Update]) -> "MeanAccumulator":
    """Fold all updates, one by one, letting go of each before the next is asked for.

    Raises:
        FederationError: there is no update, or all weights are zero.
    """
    accumulator = MeanAccumulator(before)
    for update in updates:
        accumulator.add(update)
        del update  # else it would be alive while the next one arrives
    accumulator.check_usable()
    return accumulator


def chunks(size: int) -> Iterator[slice]:
    """Cut `size` elements into slices of at most `CHUNK`."""
    return (slice(start, min(start + CHUNK, size)) for start in range(0, size, CHUNK))


def two_sum(total: Float64s, term: Float64s, scratch: Float64s) -> Float64s:
    """Add `term` to `total` in place; return what rounding lost, in `term`'s memory (Knuth's TwoSum).

    Args:
        total: shape (n,).
        term: shape (n,); overwritten.
        scratch: shape (2, n); overwritten.
    """
    rounded, part = scratch
    np.add(total, term, out=rounded)
    np.subtract(rounded, total, out=part)  # what arrived of `term`
    np.subtract(term, part, out=term)  # what did not
    np.subtract(rounded, part, out=part)  # what stayed of `total`
    np.subtract(total, part, out=part)  # what did not
    total[:] = rounded
    return np.add(part, term, out=term)


class MeanAccumulator:
    """The exact weighted sum of the updates so far; `mean` may be read at any time.

    Args:
        like: a state with the names, shapes and dtypes every update must have; it is not part of the mean.
    """

    def __init__(self, like: State) -> None:
        self._like = like
        self._sums: dict[str, Float64s] = {name: np.zeros(array.size) for name, array in like.items()}
        # (tensor, first element of the chunk) -> what did not fit into the sum, in ever smaller parts.
        self._residues: dict[tuple[str, int], list[Float64s]] = {}
        self._sites: set[str] = set()
        self._total_weight = Fraction(0)
        self._term = np.empty(CHUNK)
        self._scratch = np.empty((2, CHUNK))

    @property
    def num_updates(self) -> int:
        """Number of updates added."""
        return len(self._sites)

    def add(self, update: Update) -> None:
        """Add one update; nothing of it is kept but its share of the sum.

        Raises:
            StateError: its tensors are not those agreed on, or hold a value that is not finite.
            FederationError: its weight is out of range, or its site has been added before.
        """
        check_update(update, self._like)
        if update.site in self._sites:
            raise FederationError(f"site '{update.site}' handed in two updates in one round; expected one per site")
        self._sites.add(update.site)
        self._total_weight += Fraction(update.weight)
        for name, array in update.arrays.items():
            values = array.reshape(-1)
            for part in chunks(values.size):
                self._add_chunk(update, name, part, values[part])

    def _add_chunk(self, update: Update, name: str, part: slice, values: NDArray[np.float32]) -> None:
        term, scratch = self._term[: values.size], self._scratch[:, : values.size]
        # Infinite values pass silently through the arithmetic, come out as NaN errors and are refused below.
        with np.errstate(invalid="ignore"):
            np.multiply(values, float(update.weight), out=term, dtype=np.float64)
            lost = two_sum(self._sums[name][part], term, scratch)
        if not lost.any():
            return
        if not np.isfinite(lost).all():
            raise StateError(f"update of site '{update.site}': tensor '{name}' holds a value that is not finite")
        residues = self._residues.setdefault((name, part.start), [])
        for residue in residues:
            lost = two_sum(residue, lost, scratch)
            if not lost.any():
                return
        residues.append(lost.copy())

    def check_usable(self) -> None:
        """Check that there is something to divide.

        Raises:
            FederationError: no update was added, or all weights are zero.
        """
        if not self._sites:
            raise FederationError("no update to aggregate: expected at least one site's, got none")
        if not self._total_weight:
            raise FederationError(
                f"all {len(self._sites)} updates weigh 0, so they have no mean; "
                "check that the sites trained on at least one example, or set federation.weighting=uniform"
            )

    def mean_chunks(self, name: str) -> Iterator[tuple[slice, Float64s]]:
        """Yield the mean of one tensor in float64, flattened, as (where, values of shape (at most CHUNK,)).

        Raises:
            FederationError: no update was added, or all weights are zero.
        """
        self.check_usable()
        total_weight = float(self._total_weight)
        total = self._sums[name]
        for part in chunks(total.size):
            exact = _round_once(total[part], self._residues.get((name, part.start), []))
            yield part, exact / total_weight

    def mean(self) -> State:
        """Return the mean of all updates added, in float32.

        Raises:
            FederationError: no update was added, or all weights are zero.
        """
        state: State = {}
        for name, like in self._like.items():
            flat = np.empty(like.size, dtype=np.float32)
            for part, values in self.mean_chunks(name):
                flat[part] = values
            state[name] = flat.reshape(like.shape)
        self.check_usable()  # a state without tensors has no chunk that would have checked
        return state


def _round_once(total: Float64s, residues: list[Float64s]) -> Float64s:
    """Round the exact sum of the parts to float64, element by element; the result depends on nothing but that sum."""
    if not residues:
        return total
    rounded = total + residues[0]  # of two parts this is already the correctly rounded sum
    if len(residues) > 1:
        for index in np.flatnonzero(np.any(residues[1:], axis=0)):
            rounded[index] = math.fsum([float(total[index]), *(float(residue[index]) for residue in residues)])
    return rounded
