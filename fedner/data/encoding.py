"""Documents -> windows of word pieces, and back: what the tagger sees of a shard.

The first piece of a word carries its tag id, every other position IGNORE. Owned words (`windowing`) come in text order,
hence the n-th labelled position of all windows is the n-th word of the shard; that is all the bookkeeping there is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedner.config import Windowing
from fedner.data.corpus import Document, Sentence
from fedner.data.labels import LabelContract
from fedner.data.windowing import Longs, Windows, cut, offsets, ranges, widen
from fedner.errors import InputError, LabelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

IGNORE = -100
"""Label of a position that is neither trained nor scored; what PyTorch's cross-entropy ignores."""

_SENTENCES_PER_CALL = 20_000
"""Bounds the tokenizer's own working memory, which is far larger than what is kept."""

Ints = NDArray[np.int32]


@dataclass(frozen=True)
class EncodingStats:
    """Counts of what encoding found, and of how it was treated."""

    sentences: int
    words: int
    pieces: int
    """Word pieces over all windows, special tokens included, padding not."""
    windows: int
    cut_sentences: int
    """Sentences longer than one window."""
    truncated_words: int
    """Words longer than one window, of which only the beginning is seen."""
    unknown_words: int
    """Words whose first piece is the unknown token, empty ones included."""
    empty_words: int
    """Words of which the tokenizer left nothing, such as a lone zero-width space; they become the unknown token."""

    def __add__(self, other: "EncodingStats") -> "EncodingStats":
        """Return the stats of both texts together."""
        return EncodingStats(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, eq=False)
class Encoded:
    """Windows as flat arrays; window w is `[starts[w], starts[w + 1])` of `input_ids` and `labels`."""

    documents: tuple[Document, ...]
    input_ids: Ints
    """Vocabulary ids, shape (pieces,)."""
    labels: Ints
    """Tag ids or IGNORE, shape (pieces,)."""
    starts: Longs
    """Shape (windows + 1,)."""
    word_starts: Longs
    """Window w owns words `[word_starts[w], word_starts[w + 1])` of the shard; shape (windows + 1,)."""
    sentence_starts: Longs
    """Sentence s is words `[sentence_starts[s], sentence_starts[s + 1])`; shape (sentences + 1,)."""
    pad_id: int
    contract_digest: str
    stats: EncodingStats

    @property
    def num_windows(self) -> int:
        """Windows in all."""
        return len(self.starts) - 1

    @property
    def num_words(self) -> int:
        """Words in all; each is labelled in exactly one window."""
        return int(self.sentence_starts[-1])

    @cached_property
    def lengths(self) -> Longs:
        """Pieces of each window, special tokens included; shape (windows,)."""
        return np.diff(self.starts)

    @cached_property
    def first_windows(self) -> NDArray[np.bool_]:
        """Whether a window owns the first word of its sentence; sums to the sentences with words. Shape (windows,)."""
        first = np.zeros(self.num_words + 1, dtype=bool)
        first[self.sentence_starts[:-1]] = True
        return first[self.word_starts[:-1]]

    def sentences(self) -> Iterator[Sentence]:
        """Yield the sentences in order."""
        for document in self.documents:
            yield from document.sentences


class _Pieces(NamedTuple):
    """Pieces of all words of a shard; word n is `[starts[n], starts[n + 1])` of `ids`."""

    ids: Ints
    starts: Longs
    truncated: int
    empty: int
    unknown: int


def encode(
    documents: Sequence[Document],
    tokenizer: "PreTrainedTokenizerFast",
    contract: LabelContract,
    windowing: Windowing,
) -> Encoded:
    """Encode documents for one tokenizer and contract.

    Raises:
        LabelError: a tag is not of the contract.
        InputError: the window has no room for a word, or the tokenizer is not a fast one.
    """
    prefix, suffix = _special_ids(tokenizer)
    special, room = len(prefix) + len(suffix), windowing.max_length - len(prefix) - len(suffix)
    if room < 1:
        raise InputError(f"model.max_length: expected more than {special} special tokens, got {windowing.max_length}")
    sentences = [sentence for document in documents for sentence in document.sentences]
    sentence_starts = offsets(np.array([len(sentence.words) for sentence in sentences], dtype=np.int64))
    pieces = _piece_words(sentences, sentence_starts, tokenizer, room)
    windows, num_cut = cut(sentence_starts, pieces.starts, room, windowing.overlap_words)
    if windowing.context_words:
        sizes = np.array([len(document.sentences) for document in documents], dtype=np.int64)
        document_starts = sentence_starts[offsets(sizes)]
        windows = widen(windows, document_starts, pieces.starts, room, windowing.context_words)
    tag_ids = _tag_ids(documents, contract)
    input_ids, labels, starts = _lay_out(pieces, windows, tag_ids, prefix, suffix)
    stats = EncodingStats(
        sentences=len(sentences),
        words=len(tag_ids),
        pieces=len(input_ids),
        windows=len(starts) - 1,
        cut_sentences=num_cut,
        truncated_words=pieces.truncated,
        unknown_words=pieces.unknown,
        empty_words=pieces.empty,
    )
    pad_id = tokenizer.pad_token_id if isinstance(tokenizer.pad_token_id, int) else 0  # masked wherever it stands
    return Encoded(
        tuple(documents), input_ids, labels, starts, windows.owned, sentence_starts, pad_id, contract.digest, stats
    )


def unlabelled(words: Sequence[str]) -> Sentence:
    """Return a sentence to predict on: words, all tagged O."""
    return Sentence(tuple(words), ("O",) * len(words))


def _special_ids(tokenizer: "PreTrainedTokenizerFast") -> tuple[Ints, Ints]:
    """Return the ids that the tokenizer puts before and after a sentence.

    Raises:
        InputError: the tokenizer is not a fast one.
    """
    if not tokenizer.is_fast:
        raise InputError(
            f"tokenizer: expected a fast one, which knows the word of each piece; got {type(tokenizer).__name__}; "
            "convert it to a tokenizer.json, or take a model that has one"
        )
    encoding = tokenizer(["a"], is_split_into_words=True, return_special_tokens_mask=True)
    ids = np.array(encoding["input_ids"], dtype=np.int32)
    (inner,) = np.nonzero(np.array(encoding["special_tokens_mask"]) == 0)
    if not len(inner):  # a vocabulary without "a": [CLS] [UNK] [SEP] is all marked special
        inner = np.array([len(ids) // 2])
    return ids[: inner[0]], ids[inner[-1] + 1 :]


def _piece_words(
    sentences: Sequence[Sentence], sentence_starts: Longs, tokenizer: "PreTrainedTokenizerFast", room: int
) -> _Pieces:
    """Tokenize all sentences; a word never has 0 pieces nor more than `room`."""
    ids_parts: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
    word_parts: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    for begin in range(0, len(sentences), _SENTENCES_PER_CALL):
        batch = sentences[begin : begin + _SENTENCES_PER_CALL]
        encodings = tokenizer(
            [list(sentence.words) for sentence in batch],
            is_split_into_words=True,
            add_special_tokens=False,
            truncation=False,
            padding=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,  # long sentences are cut here, so its warning about them would mislead
        ).encodings
        assert encodings is not None
        for offset, encoding in zip(sentence_starts[begin:], encodings, strict=False):
            ids_parts.append(np.array(encoding.ids, dtype=np.int32))
            word_parts.append(np.array(encoding.word_ids, dtype=np.int64) + offset)
    ids, words = np.concatenate(ids_parts), np.concatenate(word_parts)
    unk_id = tokenizer.unk_token_id if isinstance(tokenizer.unk_token_id, int) else None
    counts = np.bincount(words, minlength=int(sentence_starts[-1])).astype(np.int64)
    (empty,) = np.nonzero(counts == 0)
    if len(empty):
        if unk_id is None:
            raise InputError("tokenizer: a word has no piece, and there is no unknown token to stand for it")
        ids = np.insert(ids, np.searchsorted(words, empty), unk_id)
        counts[empty] = 1
    kept = np.minimum(counts, room)
    starts = offsets(counts)
    ids = ids[ranges(starts[:-1], kept)]
    starts = offsets(kept)
    unknown = 0 if unk_id is None else int(np.count_nonzero(ids[starts[:-1]] == unk_id))
    return _Pieces(ids, starts, int(np.count_nonzero(counts > room)), len(empty), unknown)


def _tag_ids(documents: Sequence[Document], contract: LabelContract) -> Ints:
    """Return the tag id of each word of the shard."""
    ids = contract.tag_ids
    flat: list[int] = []
    for document in documents:
        for number, sentence in enumerate(document.sentences, start=1):
            try:
                flat.extend([ids[tag] for tag in sentence.tags])
            except KeyError as error:
                raise LabelError(
                    f"document '{document.id}', sentence {number}: tag {error.args[0]!r} is not of contract "
                    f"'{contract.name}' ({', '.join(contract.type_names)}); map it or add its type"
                ) from None
            if len(sentence.tags) != len(sentence.words):
                raise LabelError(
                    f"document '{document.id}', sentence {number}: {len(sentence.words)} words but "
                    f"{len(sentence.tags)} tags; each word needs one"
                )
    return np.array(flat, dtype=np.int32)


def _lay_out(pieces: _Pieces, windows: Windows, tag_ids: Ints, prefix: Ints, suffix: Ints) -> tuple[Ints, Ints, Longs]:
    """Write out ids, labels and window starts; see `Encoded`."""
    body_starts = pieces.starts[windows.first]
    body_lengths = pieces.starts[windows.end] - body_starts
    starts = offsets(body_lengths + len(prefix) + len(suffix))
    bodies = starts[:-1] + len(prefix)
    input_ids = np.empty(int(starts[-1]), dtype=np.int32)
    input_ids[ranges(bodies, body_lengths)] = pieces.ids[ranges(body_starts, body_lengths)]
    for index, piece in enumerate(prefix):
        input_ids[starts[:-1] + index] = piece
    for index, piece in enumerate(suffix[::-1], start=1):
        input_ids[starts[1:] - index] = piece
    labels = np.full(len(input_ids), IGNORE, dtype=np.int32)
    positions = pieces.starts[:-1] + np.repeat(bodies - body_starts, np.diff(windows.owned))
    labels[positions] = tag_ids
    return input_ids, labels, starts
