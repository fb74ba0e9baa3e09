"""Predict tags and evaluate into counts; each word of a sentence is predicted once, whatever its windows.

A predicted I- that continues no entity of its type begins one, as in conlleval and as `transformers.pipeline` groups
words with aggregation_strategy="first"; so an exported model finds the same entities outside fedner.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fedner.config import Precision, TrainingConfig
from fedner.data.corpus import Document, Sentence
from fedner.data.encoding import Encoded
from fedner.errors import RunError
from fedner.learning.batches import Batch, Indices, collate, owned_words, sorted_order
from fedner.learning.device import autocast, cpu_threads, prepare_model, resolve_device, resolve_precision
from fedner.learning.model import Tagger
from fedner.learning.partial import batch_words_loss, unannotated
from fedner.metrics import DocumentCounts, count_documents, only_annotated


@dataclass(frozen=True)
class Evaluation:
    """Sums over one shard; precision, recall and F1 are computed where all sums meet."""

    document_counts: DocumentCounts
    """Shape (documents, types, 3): tp, fp, fn; 0 for the types that a document does not annotate."""
    loss_sum: float
    """Cross-entropy in nats, summed over words; where types were not annotated, `partial`'s marginal one."""
    num_words: int


class _Scores(NamedTuple):
    tag_ids: NDArray[np.int64]
    """Best tag of each word of the shard, shape (words,)."""
    loss_sum: float


def predict_tags(tagger: Tagger, encoded: Encoded, config: TrainingConfig) -> list[list[str]]:
    """Return legal IOB2 tags for each sentence, one per word."""
    return _tags(tagger, encoded, _score(tagger, encoded, config).tag_ids)


def evaluate(tagger: Tagger, encoded: Encoded, config: TrainingConfig) -> Evaluation:
    """Predict a labelled shard and count against its gold tags, in each document the types that it annotates.

    Raises:
        RunError: the text was encoded under another contract than the tagger's.
    """
    scores = _score(tagger, encoded, config)
    predicted = _tags(tagger, encoded, scores.tag_ids)
    gold = [sentence.tags for sentence in encoded.sentences()]
    document_of = [index for index, document in enumerate(encoded.documents) for _ in document.sentences]
    counts = count_documents(gold, predicted, document_of, len(encoded.documents), tagger.contract)
    counts = only_annotated(counts, [document.unannotated for document in encoded.documents], tagger.contract)
    return Evaluation(counts, scores.loss_sum, encoded.num_words)


def predict_documents(tagger: Tagger, documents: Sequence[Document], config: TrainingConfig) -> tuple[Document, ...]:
    """Return the documents with predicted tags in place of their own; see `unlabelled` for text without tags.

    Always in float32, so that the result is what the exported model gives elsewhere.
    """
    encoded = tagger.encode(documents)
    tags = iter(predict_tags(tagger, encoded, replace(config, precision=Precision.fp32)))
    return tuple(replace(document, sentences=tuple(_retagged(document, tags))) for document in documents)


def _retagged(document: Document, tags: Iterator[list[str]]) -> Iterator[Sentence]:
    for sentence in document.sentences:
        yield replace(sentence, tags=tuple(next(tags)))


def log_probabilities(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, windows: Indices
) -> NDArray[np.float32]:
    """Return what the model believes of the words that some windows own, and 0 for others; shape (words, tags)."""
    believed = np.zeros((encoded.num_words, len(tagger.contract.tags)), dtype=np.float32)
    wanted = np.isin(np.arange(encoded.num_windows), windows)
    order = [batch[wanted[batch]] for batch in sorted_order(encoded, config.eval_batch_size)]

    def keep(batch: Batch, logits: Tensor) -> None:
        believed[owned_words(encoded, batch.windows)] = nn.functional.log_softmax(logits, dim=-1).cpu().numpy()

    _each_batch(tagger, encoded, config, [batch for batch in order if len(batch)], keep)
    return believed


def type_beliefs(tagger: Tagger, documents: Sequence[Document], config: TrainingConfig) -> NDArray[np.float32]:
    """Return the probability of O and of each type for each word, whatever its own tag; shape (words, 1 + types)."""
    encoded = tagger.encode(documents)
    tags = np.exp(log_probabilities(tagger, encoded, config, np.arange(encoded.num_windows)))
    return np.concatenate([tags[:, :1], tags[:, 1::2] + tags[:, 2::2]], axis=1)


def _score(tagger: Tagger, encoded: Encoded, config: TrainingConfig) -> _Scores:
    tag_ids = np.zeros(encoded.num_words, dtype=np.int64)
    loss_sum = 0.0
    open_tags = unannotated(encoded, tagger.contract, config, resolve_device(config.device))

    def count(batch: Batch, logits: Tensor) -> None:
        nonlocal loss_sum
        tag_ids[owned_words(encoded, batch.windows)] = logits.argmax(dim=-1).cpu().numpy()
        loss_sum += float(batch_words_loss(logits, batch, encoded, open_tags))

    _each_batch(tagger, encoded, config, sorted_order(encoded, config.eval_batch_size), count)
    return _Scores(tag_ids, loss_sum)


def _each_batch(
    tagger: Tagger,
    encoded: Encoded,
    config: TrainingConfig,
    order: Sequence[Indices],
    use: Callable[[Batch, Tensor], None],
) -> None:
    """Hand each batch to `use` with the logits of its words, shape (labelled, tags), in evaluation mode.

    Raises:
        RunError: the text was encoded under another contract than the tagger's.
    """
    if encoded.contract_digest != tagger.contract.digest:
        raise RunError(f"inference: the text was encoded under another contract than '{tagger.contract.name}'")
    device = resolve_device(config.device)
    precision = resolve_precision(config.precision, device)
    model = tagger.model
    prepare_model(model, device, tagger.max_length)
    was_training = model.training
    model.eval()
    with cpu_threads(config.threads), torch.inference_mode():
        for windows in order:
            batch = collate(encoded, windows, device)
            with autocast(device, precision):
                logits = model(input_ids=batch.input_ids, attention_mask=batch.mask).logits
            use(batch, logits.flatten(0, 1).index_select(0, batch.positions).float())
    model.train(was_training)


def _tags(tagger: Tagger, encoded: Encoded, tag_ids: NDArray[np.int64]) -> list[list[str]]:
    """Return tag ids as legal IOB2, sentence by sentence; ids as in `LabelContract.tags`."""
    types = (tag_ids + 1) // 2  # 0 for O
    inside = (tag_ids > 0) & (tag_ids % 2 == 0)
    continues = np.zeros(len(tag_ids), dtype=bool)
    continues[1:] = types[1:] == types[:-1]
    starts = encoded.sentence_starts
    continues[starts[:-1][starts[:-1] < len(tag_ids)]] = False
    legal = np.where(inside & ~continues, tag_ids - 1, tag_ids)
    names = tagger.contract.tags
    flat = [names[index] for index in legal.tolist()]
    return [flat[begin:end] for begin, end in zip(starts.tolist(), starts[1:].tolist(), strict=False)]
