"""Score a finished model on labelled text twice: by our counts and by seqeval's strict mode, which must agree."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fedner.config import Precision, TrainingConfig
from fedner.data.annotation import tags_without
from fedner.data.corpus import Document
from fedner.errors import RunError
from fedner.learning.inference import count_predicted, predict_tag_ids, tag_names
from fedner.learning.tagger.model import Tagger
from fedner.metrics import DocumentCounts, score, total


def count_twice(tagger: Tagger, documents: Sequence[Document], config: TrainingConfig) -> DocumentCounts:
    """Return a model's counts on each document; always in float32, so that they are those of the exported model.

    Types that a document does not annotate are left out on both sides.

    Returns:
        tp, fp and fn; shape (documents, types, 3).

    Raises:
        RunError: seqeval computes another F1.
    """
    encoded = tagger.encode(tuple(documents))
    tag_ids = predict_tag_ids(tagger, encoded, replace(config, precision=Precision.fp32))
    counts = count_predicted(tag_ids, encoded, tagger.contract)
    hidden = [document.unannotated for document in encoded.documents for _ in document.sentences]
    found = tag_names(tag_ids, encoded, tagger.contract)
    predicted = [list(tags_without(tags, types)) for tags, types in zip(found, hidden, strict=True)]
    gold = [list(tags_without(each.tags, types)) for each, types in zip(encoded.sentences(), hidden, strict=True)]
    _check_with_seqeval(score(total(counts), tagger.contract).micro.f1, gold, predicted)
    return counts


def _check_with_seqeval(f1: float, gold: list[list[str]], predicted: list[list[str]]) -> None:
    # seqeval brings scikit-learn with it, which training need not wait for.
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2

    # seqeval's annotation knows only the strings that zero_division may be.
    theirs = f1_score(gold, predicted, mode="strict", scheme=IOB2, zero_division=0)  # pyright: ignore[reportArgumentType]
    other = float(np.mean(theirs))
    if abs(other - f1) > 1e-9:
        raise RunError(f"evaluate: F1 {f1:.6f} here, {other:.6f} by seqeval; please report this as a bug of fedner's")
