"""Resamples of documents and seeds, and F1 in each of them.

Since counts add up, a resample is a row of document weights times the matrix of document counts. The same seed and
number of documents draw the same resamples, whatever is scored; that is what pairs two arms.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fedner.seeding import generator

Floats = NDArray[np.float64]

_BLOCK_CELLS = 1 << 21
"""Document weights drawn at a time; bounds memory at 64 MiB whatever the size of the test set."""


def f1(counts: NDArray[np.int64] | Floats) -> Floats:
    """Divide; shape (..., 3) -> (...), with NaN where nothing is gold or predicted."""
    twice_tp = 2.0 * counts[..., 0]
    entities = twice_tp + counts[..., 1] + counts[..., 2]
    return np.divide(twice_tp, entities, where=entities > 0, out=np.full(entities.shape, np.nan))


def resampled_f1(counts: NDArray[np.int64], samples: int, seed: int) -> Floats:
    """Return F1 in every resample of the documents; shape (documents, ..., 3) -> (samples, ...)."""
    columns = counts.reshape(len(counts), math.prod(counts.shape[1:])).astype(np.float64)
    # Sums of whole numbers below 2**53 are exact in float64, so the order in which BLAS adds does not matter.
    sums = np.concatenate([weights @ columns for weights in _document_weights(len(counts), samples, seed)])
    return f1(sums.reshape(samples, *counts.shape[1:]))


def draw_seeds(num_seeds: int, samples: int, seed: int) -> Floats:
    """Return the weight of each training seed in each resample; shape (samples, seeds), rows sum to 1."""
    return _draw(generator(seed, "bootstrap", site="seeds"), samples, num_seeds) / num_seeds


def percentiles(resampled: Floats, confidence: float, num_documents: int) -> tuple[float | None, float | None]:
    """Return the percentile interval of the resamples that are defined; shape of `resampled` is (samples,)."""
    defined = resampled[~np.isnan(resampled)]
    if num_documents < 2 or not len(defined):
        return None, None
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _document_weights(num_documents: int, samples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each resample draws each document, in blocks of shape (some samples, documents)."""
    rng = generator(seed, "bootstrap")
    block = max(1, _BLOCK_CELLS // max(num_documents, 1))
    for start in range(0, samples, block):
        yield _draw(rng, min(block, samples - start), num_documents)


def _draw(rng: np.random.Generator, rows: int, size: int) -> Floats:
    """Return multinomial counts of `size` draws among `size` equals; shape (rows, size)."""
    if size == 0:
        return np.zeros((rows, 0))
    draws = rng.integers(size, size=(rows, size)) + size * np.arange(rows)[:, None]
    return np.bincount(draws.ravel(), minlength=rows * size).reshape(rows, size).astype(np.float64)
