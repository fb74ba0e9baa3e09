"""Encoded windows -> the tensors of one batch, padded or packed."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fedner.data.encoding import IGNORE, Encoded

Indices = NDArray[np.int64]

PACKED = ("bert", "electra", "ernie", "mobilebert")
"""Kinds of model that may get packed batches: those that count positions from 0, unlike RoBERTa."""


@dataclass(frozen=True)
class Batch:
    """Tensors of one batch; `positions` are the labelled places of the flattened (batch * length) grid, in text order
    within each window, and `targets` their tag ids. `windows` are those of the batch in the order of `positions`, so
    that `owned_words(encoded, batch.windows)` are the words behind them."""

    input_ids: Tensor
    """Shape (batch, length)."""
    mask: Tensor | None
    """From `collate`, shape (batch, length), True where there is text; None where all of it is. `pack` has its own."""
    positions: Tensor
    """Shape (labelled,)."""
    targets: Tensor
    """Shape (labelled,)."""
    windows: Indices
    position_ids: Tensor | None = None
    """Shape (batch, length), from `pack` alone; None counts from 0 in every row."""


def sorted_order(encoded: Encoded, batch_size: int) -> list[Indices]:
    """Return batches of all windows by length, longest first, so that memory runs out at once or not at all."""
    order = np.argsort(-encoded.lengths, kind="stable")
    return [order[at : at + batch_size] for at in range(0, len(order), batch_size)]


def collate(encoded: Encoded, windows: Indices, device: torch.device) -> Batch:
    """Return the tensors of some windows, padded at the end to the longest of them."""
    lengths = encoded.lengths[windows]
    columns = np.arange(int(lengths.max()))
    filled = columns < lengths[:, None]
    sources = (encoded.starts[windows][:, None] + columns)[filled]
    input_ids = np.full(filled.shape, encoded.pad_id, dtype=np.int64)
    input_ids[filled] = encoded.input_ids[sources]
    labels = np.full(filled.shape, IGNORE, dtype=np.int64)
    labels[filled] = encoded.labels[sources]
    positions = np.flatnonzero(labels != IGNORE)
    mask = None if filled.all() else torch.from_numpy(filled).to(device)
    return Batch(
        input_ids=torch.from_numpy(input_ids).to(device),
        mask=mask,
        positions=torch.from_numpy(positions).to(device),
        targets=torch.from_numpy(labels.reshape(-1)[positions]).to(device),
        windows=windows,
    )


def pack(encoded: Encoded, windows: Indices, device: torch.device, dtype: torch.dtype) -> Batch:
    """Return the tensors of some windows, several to a row where they fit, each attending to itself alone.

    A row is as long as the longest window. Positions start anew with each window and the mask is block-diagonal, so the
    model computes what it would on one window a row; random batches then need little padding (sequence packing, Krell
    et al. 2021, arxiv.org/abs/2107.02027).

    Args:
        dtype: of the mask, which is added to the attention scores; shape (rows, 1, length, length).
    """
    lengths = encoded.lengths[windows]
    rows, offsets = _first_fit(lengths.tolist())
    shape = (int(rows.max()) + 1, int(lengths.max()))
    input_ids = np.full(shape, encoded.pad_id, dtype=np.int64)
    labels = np.full(shape, IGNORE, dtype=np.int64)
    position_ids = np.zeros(shape, dtype=np.int64)
    owners = np.full(shape, -1, dtype=np.int64)  # padding attends to padding, so that no row of the mask is empty
    for index, window in enumerate(windows.tolist()):
        row, place = rows[index], slice(offsets[index], offsets[index] + lengths[index])
        source = slice(encoded.starts[window], encoded.starts[window + 1])
        input_ids[row, place] = encoded.input_ids[source]
        labels[row, place] = encoded.labels[source]
        position_ids[row, place] = np.arange(lengths[index])
        owners[row, place] = index
    positions = np.flatnonzero(labels != IGNORE)
    apart = torch.from_numpy(owners[:, None, :, None] != owners[:, None, None, :]).to(device)
    return Batch(
        input_ids=torch.from_numpy(input_ids).to(device),
        mask=torch.zeros(apart.shape, dtype=dtype, device=device).masked_fill_(apart, torch.finfo(dtype).min),
        positions=torch.from_numpy(positions).to(device),
        targets=torch.from_numpy(labels.reshape(-1)[positions]).to(device),
        windows=windows[np.lexsort((offsets, rows))],
        position_ids=torch.from_numpy(position_ids).to(device),
    )


def _first_fit(lengths: list[int]) -> tuple[Indices, Indices]:
    """Return the row of each window and its first place there: longest first, each into the first row with room."""
    room, filled = max(lengths), list[int]()
    rows, offsets = np.zeros(len(lengths), dtype=np.int64), np.zeros(len(lengths), dtype=np.int64)
    for index in sorted(range(len(lengths)), key=lambda each: -lengths[each]):
        row = next((row for row, used in enumerate(filled) if used + lengths[index] <= room), len(filled))
        if row == len(filled):
            filled.append(0)
        rows[index], offsets[index] = row, filled[row]
        filled[row] += lengths[index]
    return rows, offsets


def owned_words(encoded: Encoded, windows: Indices) -> Indices:
    """Return the words of the shard that some windows own, window by window; see `Batch`."""
    counts = encoded.word_starts[windows + 1] - encoded.word_starts[windows]
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1])) + np.repeat(encoded.word_starts[windows] - (ends - counts), counts)
