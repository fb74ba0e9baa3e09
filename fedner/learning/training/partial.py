"""Training on partially annotated documents: `O` is treated as unknown for types that were not annotated.

At a word tagged O, with U the tags of the types that were not annotated and A = {O} or U,

    marginal      -log of the sum of p(a) over A
    distillation  KL(q(. | A) || p(. | A)), q being the model that training began with

Elsewhere the loss is the cross-entropy. The first is the likelihood of a partial annotation at one token (Tsuboi et al.
2008, Training Conditional Random Fields Using Incomplete Annotations; Greenberg et al. 2018, Marginal Likelihood
Training of BiLSTM-CRF). It leaves open how the mass is spread within A, and its gradient pushes whatever of A the
model believes already. In a federation the other sites decide it; at the site nothing does between two rounds, so the
second term can hold it where the federation had it (after Wang et al. 2023, Federated Domain Adaptation for Named
Entity Recognition via Distilling with Heterogeneous Tag Sets). Their sum at weight 1 is, up to a constant, the expected
cross-entropy under q(. | A): a step of generalised expectation maximisation.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fedner.data.encoding import Encoded
from fedner.data.labels import LabelContract
from fedner.learning.batches import Batch, owned_words

_OUTSIDE = 0
"""Tag id of O in every contract."""


@dataclass(frozen=True, eq=False)
class Unannotated:
    """The tags that the O of each word of a shard may stand for, the same for all words of a document."""

    hidden: Tensor
    """Whether a kind of document leaves a tag open; shape (kinds, tags)."""
    kinds: NDArray[np.int64]
    """Kind of each word; shape (words,)."""
    believed: NDArray[np.float32] | None = None
    """Log-probabilities of the model that training began with, for distillation; shape (words, tags)."""

    def at(self, words: NDArray[np.int64]) -> Tensor:
        """Return the tags that O may stand for at some words; shape (words, tags)."""
        return self.hidden.index_select(0, torch.from_numpy(self.kinds[words]).to(self.hidden.device))


def unannotated(encoded: Encoded, contract: LabelContract, device: torch.device) -> Unannotated | None:
    """Return the tags that the O of each word of a shard may hide; None where every type was annotated everywhere."""
    if not any(document.unannotated for document in encoded.documents):
        return None
    known: dict[frozenset[str], int] = {}
    kinds = [known.setdefault(frozenset(document.unannotated), len(known)) for document in encoded.documents]
    sizes = [sum(len(sentence.words) for sentence in document.sentences) for document in encoded.documents]
    hidden = np.array([[tag[2:] in types for tag in contract.tags] for types in known])
    hidden[:, _OUTSIDE] = False
    return Unannotated(torch.from_numpy(hidden).to(device), np.repeat(np.array(kinds, dtype=np.int64), sizes))


def batch_words_loss(
    logits: Tensor, batch: Batch, encoded: Encoded, open_tags: Unannotated | None, distil_weight: float = 0.0
) -> Tensor:
    """Return the loss of a batch, summed over its words, in nats.

    Args:
        logits: of its words, shape (labelled, tags).
        open_tags: the tags that an O of the shard may stand for; None where it is always O.
        distil_weight: weight of keeping to earlier beliefs, where there are some.
    """
    if open_tags is None:
        return nn.functional.cross_entropy(logits, batch.targets, reduction="sum")
    words = owned_words(encoded, batch.windows)
    known = open_tags.believed
    believed = None if known is None else torch.from_numpy(known[words]).to(logits.device)
    return partial_loss(logits, batch.targets, open_tags.at(words), believed, distil_weight)


def partial_loss(
    logits: Tensor, targets: Tensor, hidden: Tensor, believed: Tensor | None = None, distil_weight: float = 0.0
) -> Tensor:
    """Return the loss summed over words, in nats; without hidden tags it is the cross-entropy, bit for bit.

    Args:
        logits: shape (words, tags).
        targets: tag ids, shape (words,).
        hidden: the tags that O may stand for at each word, if that is its tag; shape (words, tags).
        believed: log-probabilities of the model that training began with, shape (words, tags).
        distil_weight: of the second term.
    """
    log_p = nn.functional.log_softmax(logits, dim=-1)
    allowed = hidden & (targets == _OUTSIDE).unsqueeze(1)
    is_open = allowed.any(dim=1)
    allowed = allowed.scatter(1, targets.unsqueeze(1), True)
    marginal = log_p.masked_fill(~allowed, -torch.inf).logsumexp(dim=-1, keepdim=True)
    loss = nn.functional.nll_loss(marginal, torch.zeros_like(targets), reduction="sum")
    if believed is None or distil_weight == 0:
        return loss
    return loss + distil_weight * _divergence(log_p[is_open], believed[is_open], allowed[is_open])


def _divergence(log_p: Tensor, log_q: Tensor, allowed: Tensor) -> Tensor:
    """Return KL(q || p) of the two, each given `allowed`, summed over words."""
    ours, theirs = (
        torch.log_softmax(each.masked_fill(~allowed, -torch.inf), dim=-1).masked_fill(~allowed, 0.0)
        for each in (log_p, log_q)
    )
    return (theirs.exp() * allowed * (theirs - ours)).sum()
