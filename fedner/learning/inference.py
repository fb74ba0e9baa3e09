"""Predict tags and evaluate into counts; each word of a sentence is predicted once, whatever its windows.

Decoding stands above a `Predictor` and does not know where its logits come from. A predicted I- that continues no
entity of its type begins one, as in conlleval and as `transformers.pipeline` groups words with
aggregation_strategy="first"; so an exported model finds the same entities outside fedner.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel

from fedner.config import Partial, Precision, TrainingConfig
from fedner.data.corpus import Document
from fedner.data.encoding import IGNORE, Encoded
from fedner.data.labels import LabelContract
from fedner.errors import RunError
from fedner.learning.batches import Batch, Indices, collate, owned_words, sorted_order
from fedner.learning.device import autocast, cpu_threads, prepare_model, resolve_device, resolve_precision
from fedner.learning.tagger.model import Tagger
from fedner.learning.training.partial import batch_words_loss, unannotated
from fedner.metrics import DocumentCounts, count_tag_ids, only_annotated


class Predictor(Protocol):
    """A model as decoding sees it, whatever computes it."""

    device: torch.device
    """Device of the batches that it takes."""

    def logits(self, batch: Batch) -> Tensor:
        """Return the scores of the batch's words, float32, shape (labelled, tags).

        They are log-probabilities up to a constant per word. The constant is left in: taking it out rounds, and two
        tags whose scores differ in the last bit could change places.
        """
        ...


@dataclass(frozen=True)
class Evaluation:
    """Sums over one shard; precision, recall and F1 are computed where all sums meet."""

    document_counts: DocumentCounts
    """Shape (documents, types, 3): tp, fp, fn; 0 for the types that a document does not annotate."""
    loss_sum: float
    """Cross-entropy in nats, summed over words; where types were not annotated, `partial`'s marginal one."""
    num_words: int


def predict_tag_ids(tagger: Tagger, encoded: Encoded, config: TrainingConfig) -> NDArray[np.int64]:
    """Return legal IOB2 tag ids, shape (words,).

    Raises:
        RunError: the text was encoded under another contract than the tagger's.
    """
    with torch_predictor(tagger, encoded, config) as predictor:
        return decode(predictor, encoded, config.eval_batch_size)


def decode(predictor: Predictor, encoded: Encoded, batch_size: int) -> NDArray[np.int64]:
    """Return the best tag id of each word, as legal IOB2; shape (words,)."""
    tag_ids = np.zeros(encoded.num_words, dtype=np.int64)
    for batch, logits in _each_batch(predictor, encoded, sorted_order(encoded, batch_size)):
        tag_ids[owned_words(encoded, batch.windows)] = logits.argmax(dim=-1).cpu().numpy()
    return _legal(tag_ids, encoded)


def predict_tags(tagger: Tagger, encoded: Encoded, config: TrainingConfig) -> list[list[str]]:
    """Return legal IOB2 tags for each sentence, one per word; raises as `predict_tag_ids`."""
    return tag_names(predict_tag_ids(tagger, encoded, config), encoded, tagger.contract)


def tag_names(tag_ids: NDArray[np.int64], encoded: Encoded, contract: LabelContract) -> list[list[str]]:
    """Return the tags of each sentence.

    Args:
        tag_ids: of all words, shape (words,).
    """
    flat = [contract.tags[index] for index in tag_ids.tolist()]
    return [flat[begin:end] for begin, end in pairwise(encoded.sentence_starts.tolist())]


def evaluate(tagger: Tagger, encoded: Encoded, config: TrainingConfig) -> Evaluation:
    """Predict a labelled shard and count against its gold tags, in each document the types that it annotates.

    Raises:
        RunError: the text was encoded under another contract than the tagger's.
    """
    tag_ids, loss_sum = np.zeros(encoded.num_words, dtype=np.int64), 0.0
    device = resolve_device(config.device)
    open_tags = None if config.partial is Partial.ignore else unannotated(encoded, tagger.contract, device)
    with torch_predictor(tagger, encoded, config) as predictor:
        for batch, logits in _each_batch(predictor, encoded, sorted_order(encoded, config.eval_batch_size)):
            tag_ids[owned_words(encoded, batch.windows)] = logits.argmax(dim=-1).cpu().numpy()
            loss_sum += float(batch_words_loss(logits, batch, encoded, open_tags))
    counts = count_predicted(_legal(tag_ids, encoded), encoded, tagger.contract)
    return Evaluation(counts, loss_sum, encoded.num_words)


def count_predicted(tag_ids: NDArray[np.int64], encoded: Encoded, contract: LabelContract) -> DocumentCounts:
    """Count predicted entities against gold ones, in each document the types that it annotates.

    Args:
        tag_ids: predicted, legal IOB2, shape (words,).

    Returns:
        tp, fp and fn; shape (documents, types, 3).
    """
    gold = encoded.labels[encoded.labels != IGNORE].astype(np.int64)  # labelled positions are the words in text order
    sizes = np.array([len(document.sentences) for document in encoded.documents], dtype=np.int64)
    document_of = np.repeat(np.arange(len(sizes)), sizes)
    num_types = len(contract.type_names)
    counts = count_tag_ids(gold, tag_ids, encoded.sentence_starts, document_of, len(sizes), num_types)
    return only_annotated(counts, [document.unannotated for document in encoded.documents], contract)


def predict_documents(tagger: Tagger, documents: Sequence[Document], config: TrainingConfig) -> tuple[Document, ...]:
    """Return the documents with predicted tags in place of their own; see `unlabelled` for text without tags.

    Always in float32, so that the result is what the exported model gives elsewhere.
    """
    encoded = tagger.encode(documents)
    tags = iter(predict_tags(tagger, encoded, replace(config, precision=Precision.fp32)))
    return tuple(
        replace(document, sentences=tuple(replace(each, tags=tuple(next(tags))) for each in document.sentences))
        for document in documents
    )


def log_probabilities(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, windows: Indices
) -> NDArray[np.float32]:
    """Return the model's beliefs about the words that some windows own, and 0 for others; shape (words, tags)."""
    believed = np.zeros((encoded.num_words, len(tagger.contract.tags)), dtype=np.float32)
    chosen = np.isin(np.arange(encoded.num_windows), windows)
    order = [batch[chosen[batch]] for batch in sorted_order(encoded, config.eval_batch_size)]
    with torch_predictor(tagger, encoded, config) as predictor:
        for batch, logits in _each_batch(predictor, encoded, [batch for batch in order if len(batch)]):
            believed[owned_words(encoded, batch.windows)] = nn.functional.log_softmax(logits, dim=-1).cpu().numpy()
    return believed


def type_beliefs(tagger: Tagger, documents: Sequence[Document], config: TrainingConfig) -> NDArray[np.float32]:
    """Return the probability of O and of each type for each word, whatever its own tag; shape (words, 1 + types)."""
    encoded = tagger.encode(documents)
    tags = np.exp(log_probabilities(tagger, encoded, config, np.arange(encoded.num_windows)))
    return np.concatenate([tags[:, :1], tags[:, 1::2] + tags[:, 2::2]], axis=1)


@dataclass
class _TorchPredictor:
    """A tagger's model on a device, in evaluation mode."""

    model: PreTrainedModel
    device: torch.device
    precision: Precision

    def logits(self, batch: Batch) -> Tensor:
        with autocast(self.device, self.precision):
            logits = self.model(input_ids=batch.input_ids, attention_mask=batch.mask).logits
        return logits.flatten(0, 1).index_select(0, batch.positions).float()


@contextmanager
def torch_predictor(tagger: Tagger, encoded: Encoded, config: TrainingConfig) -> Iterator[Predictor]:
    """Yield the tagger as a predictor of this text, with its threads; afterwards everything is as before.

    Raises:
        RunError: the text was encoded under another contract than the tagger's.
    """
    if encoded.contract_digest != tagger.contract.digest:
        raise RunError(f"inference: the text was encoded under another contract than '{tagger.contract.name}'")
    device = resolve_device(config.device)
    precision = resolve_precision(config.precision, device)
    prepare_model(tagger.model, device, tagger.windowing.max_length)
    was_training = tagger.model.training
    tagger.model.eval()
    try:
        with cpu_threads(config.threads), torch.inference_mode():
            yield _TorchPredictor(tagger.model, device, precision)
    finally:
        tagger.model.train(was_training)


def _each_batch(predictor: Predictor, encoded: Encoded, order: Sequence[Indices]) -> Iterator[tuple[Batch, Tensor]]:
    """Yield each batch with the logits of its words, shape (labelled, tags)."""
    for windows in order:
        batch = collate(encoded, windows, predictor.device)
        yield batch, predictor.logits(batch)


def _legal(tag_ids: NDArray[np.int64], encoded: Encoded) -> NDArray[np.int64]:
    """Return tag ids as legal IOB2; ids as in `LabelContract.tags`."""
    types = (tag_ids + 1) // 2  # 0 for O
    inside = (tag_ids > 0) & (tag_ids % 2 == 0)
    continues = np.zeros(len(tag_ids), dtype=bool)
    continues[1:] = types[1:] == types[:-1]
    starts = encoded.sentence_starts[:-1]
    continues[starts[starts < len(tag_ids)]] = False
    return np.where(inside & ~continues, tag_ids - 1, tag_ids)
