"""A trained tagger from Python: entities in texts, and scores."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from fedner.config import TrainingConfig
from fedner.data.labels import EntityType, LabelContract
from fedner.data.reading import read_documents
from fedner.errors import DataError
from fedner.learning.entities import FoundEntity, find_entities
from fedner.learning.rescoring import count_twice
from fedner.learning.tagger.model import Tagger
from fedner.metrics import Counts, Score, total
from fedner.metrics import score as score_counts


def predict(
    tagger: Tagger, texts: Iterable[str], *, device: str = "auto", threads: int | None = None
) -> list[list[FoundEntity]]:
    """Return the entities of each text, in the order of the text.

    Args:
        device: auto, cpu, cuda, cuda:1 or mps.
        threads: CPU threads; None is all cores.

    Raises:
        DataError: a sentence is too long.
    """
    return list(find_entities(tagger, texts, TrainingConfig(device=device, threads=threads)))


def evaluate(tagger: Tagger, files: Iterable[str | Path], *, device: str = "auto", threads: int | None = None) -> Score:
    """Return strict entity-level scores on labelled files, pooled over all documents; as `fedner evaluate`.

    Raises:
        InputError: a file cannot be read, or has types that the tagger's label contract lacks.
        RunError: seqeval finds another F1.
    """
    documents = [document for file in files for document in read_documents(file, tagger.contract)]
    counts = count_twice(tagger, documents, TrainingConfig(device=device, threads=threads))
    return score_counts(total(counts), tagger.contract)


def score(gold: Sequence[Iterable[tuple[int, int, str]]], predicted: Sequence[Iterable[tuple[int, int, str]]]) -> Score:
    """Return strict scores of predicted entities: one counts if start, end and label are all those of a gold one.

    Args:
        gold: of each text the (start, end, label) of its entities, in characters; duplicates count once.
        predicted: the same of the same texts; further fields, as `predict` returns them, are ignored.

    Raises:
        DataError: the numbers of texts differ, or there is no entity at all.
    """
    if len(gold) != len(predicted):
        raise DataError(f"score: expected as many predicted texts as gold ones, got {len(predicted)} for {len(gold)}")
    sets = [[{each[:3] for each in text} for text in side] for side in (gold, predicted)]
    pairs = list(zip(*sets, strict=True))
    labels = sorted({entity[2] for pair in pairs for side in pair for entity in side})
    if not labels:
        raise DataError("score: expected at least one entity, gold or predicted, got none")

    def counted(sets: Iterable[set[tuple[int, int, str]]]) -> tuple[int, ...]:
        found = [entity[2] for entities in sets for entity in entities]
        return tuple(found.count(label) for label in labels)

    counts = Counts(
        tp=counted(mine & other for mine, other in pairs),
        fp=counted(other - mine for mine, other in pairs),
        fn=counted(mine - other for mine, other in pairs),
    )
    return score_counts(counts, LabelContract("scored", 1, tuple(map(EntityType, labels))))
