"""Words -> windows: which words of a shard a window shows, and which of them it owns.

A sentence that does not fit one window is cut at word boundaries into windows that share words. Each word is *owned*
by exactly one window, the one in which it has most context: only there is it trained and predicted. So no gold entity
is lost and no word counts twice.

A window may also show words of the sentences around its own, as far as they are of the same document (Schweter and
Akbik 2020, FLERT: Document-Level Features for Named Entity Recognition). They are context and owned elsewhere.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Longs = NDArray[np.int64]


class Windows(NamedTuple):
    """Word ranges: a window shows words `[first, end)` and owns `[owned[w], owned[w + 1])`; all of the shard."""

    first: Longs
    end: Longs
    owned: Longs


def cut(sentence_starts: Longs, piece_starts: Longs, room: int, overlap_words: int) -> tuple[Windows, int]:
    """Cut each sentence into windows of at most `room` pieces; also return how many had to be cut.

    Args:
        sentence_starts: sentence s is words `[sentence_starts[s], sentence_starts[s + 1])`; shape (sentences + 1,).
        piece_starts: word n is pieces `[piece_starts[n], piece_starts[n + 1])`; shape (words + 1,).
        overlap_words: words that neighbouring windows share at least where they fit, at most half a window.
    """
    first_parts: list[Longs] = []
    end_parts: list[Longs] = []
    owned_parts: list[Longs] = []
    begins, ends = sentence_starts[:-1], sentence_starts[1:]
    has_words = ends > begins
    begins, ends = begins[has_words], ends[has_words]
    (long,) = np.nonzero(piece_starts[ends] - piece_starts[begins] > room)
    done = 0
    for index in long:
        first_parts.append(begins[done:index])
        end_parts.append(ends[done:index])
        owned_parts.append(begins[done:index])
        first, end = _cut_sentence(int(begins[index]), int(ends[index]), piece_starts, room, overlap_words)
        first, end, owned = _own(first, end)
        first_parts.append(first)
        end_parts.append(end)
        owned_parts.append(owned)
        done = int(index) + 1
    first_parts.append(begins[done:])
    end_parts.append(ends[done:])
    owned_parts += [begins[done:], sentence_starts[-1:]]
    return Windows(np.concatenate(first_parts), np.concatenate(end_parts), np.concatenate(owned_parts)), len(long)


def _cut_sentence(begin: int, end: int, piece_starts: Longs, room: int, overlap_words: int) -> tuple[Longs, Longs]:
    """Return first and end words of overlapping windows over words `[begin, end)`; both rise from window to window."""
    first_words, end_words = [begin], [_reach(begin, end, piece_starts, room)]
    while end_words[-1] < end:
        first, reached = first_words[-1], end_words[-1]
        # Half a window at most, so that windows grow in number with the text and not with the overlap.
        start = reached - min(overlap_words, (reached - first) // 2)
        while _reach(start, end, piece_starts, room) <= reached:  # a long word ahead needs the room
            start += 1
        first_words.append(start)
        end_words.append(_reach(start, end, piece_starts, room))
    return np.array(first_words, dtype=np.int64), np.array(end_words, dtype=np.int64)


def _reach(first: int, end: int, piece_starts: Longs, room: int) -> int:
    """Return the end of the longest run of words from `first` that fits `room`, at most `end`."""
    fitting = int(np.searchsorted(piece_starts, piece_starts[first] + room, side="right")) - 1
    return min(fitting, end)


def _own(first: Longs, end: Longs) -> tuple[Longs, Longs, Longs]:
    """Give each word of one sentence to the window in which its nearer edge is furthest; ties to the earlier one.

    The sentence's own ends are no edges. As both edges rise from window to window, so does the owner from word to word.
    Windows that own nothing are dropped. Returns first words, end words and first owned words of the windows kept.
    """
    begin, stop = int(first[0]), int(end[-1])
    best = np.full(stop - begin, -1, dtype=np.int64)
    owner = np.zeros(stop - begin, dtype=np.int64)
    for window, (low, high) in enumerate(zip(first.tolist(), end.tolist(), strict=True)):
        words = np.arange(low, high)
        left = words - low if low > begin else np.full(high - low, stop)
        right = high - 1 - words if high < stop else np.full(high - low, stop)
        context = np.minimum(left, right)
        better = context > best[low - begin : high - begin]
        best[low - begin : high - begin][better] = context[better]
        owner[low - begin : high - begin][better] = window
    kept, owned = np.unique(owner, return_index=True)
    return first[kept], end[kept], owned.astype(np.int64) + begin


def widen(windows: Windows, documents: Longs, piece_starts: Longs, room: int, context_words: int) -> Windows:
    """Let windows show words around them: half of the room left on either side, and the rest of a side on the other.

    Args:
        documents: document d is words `[documents[d], documents[d + 1])`; shape (documents + 1,).
    """
    first, end = windows.first, windows.end
    document = np.searchsorted(documents, first, side="right") - 1
    before = np.maximum(first - context_words, documents[document])
    after = np.minimum(end + context_words, documents[document + 1])
    spare = room - (piece_starts[end] - piece_starts[first])
    asked_before, asked_after = piece_starts[first] - piece_starts[before], piece_starts[after] - piece_starts[end]
    given_before = np.minimum(asked_before, np.maximum(spare // 2, spare - asked_after))
    given_after = np.minimum(asked_after, spare - given_before)
    # Whole words only: the first that begins within what is given, and the last that ends within it.
    first = np.searchsorted(piece_starts, piece_starts[first] - given_before, side="left")
    end = np.searchsorted(piece_starts, piece_starts[end] + given_after, side="right") - 1
    return Windows(first.astype(np.int64), end.astype(np.int64), windows.owned)


def offsets(lengths: Longs) -> Longs:
    """Return [0, l0, l0 + l1, …], shape (n + 1,)."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def ranges(starts: Longs, lengths: Longs) -> Longs:
    """Return starts[0], starts[0] + 1, … (lengths[0] numbers), then the same for each further range."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total, dtype=np.int64) + np.repeat(starts - (ends - lengths), lengths)
