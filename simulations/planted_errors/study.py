"""Are wrong annotations found by a model that has not seen the text: `fedner data audit --model`?

    python simulations/planted_errors/study.py --model runs/demo/model --output results.json

In CoNLL-2003's test documents every twentieth entity, drawn by chance, is spoiled: dropped, or given another type. A
finding is right if it lies on a spoiled entity and names what was there before. `undisturbed` is what the model
contradicts in the text as it came, where it may be wrong itself, or the annotation may.
"""

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fedner.config import Conll2003Data, ContractConfig, TrainingConfig
from fedner.data.auditing.suspicion import Beliefs, Suspicion, find_suspicious
from fedner.data.corpus import Document, Sentence
from fedner.data.labels import LabelContract, Span, spans_of, tags_of
from fedner.data.loading import load_corpus
from fedner.files import write_json
from fedner.learning.inference import type_beliefs
from fedner.learning.tagger.model import load_tagger
from fedner.records.environment import environment

SHARE = 0.05
SEEDS = range(5)

Key = tuple[str, int]
"""A sentence: document id and number."""


@dataclass(frozen=True)
class Planted:
    """An entity that was spoiled: where, and what it is annotated as now."""

    span: Span
    now: str

    def is_found_by(self, suspicion: Suspicion, sentence: Sentence) -> bool:
        """Say whether a finding in its sentence is about it."""
        length = len(suspicion.words)
        starts = range(self.span.start, self.span.end)
        there = any(sentence.words[start : start + length] == suspicion.words for start in starts)
        return there and (suspicion.annotated, suspicion.believed) == (self.now, self.span.type)


def spoil(
    documents: Sequence[Document], types: Sequence[str], chance: random.Random
) -> tuple[list[Document], dict[Key, list[Planted]]]:
    """Return the documents with errors, and these by sentence."""
    planted: dict[Key, list[Planted]] = {}

    def spoiled(sentence: Sentence, key: Key) -> Sentence:
        kept: list[Span] = []
        for span in spans_of(sentence.tags):
            if chance.random() >= SHARE:
                kept.append(span)
                continue
            now = chance.choice(["O", chance.choice([name for name in types if name != span.type])])
            planted.setdefault(key, []).append(Planted(span, now))
            kept += [] if now == "O" else [span._replace(type=now)]
        return replace(sentence, tags=tuple(tags_of(kept, len(sentence.words))))

    changed = [
        replace(each, sentences=tuple(spoiled(one, (each.id, at)) for at, one in enumerate(each.sentences)))
        for each in documents
    ]
    return changed, planted


def measure(contract: LabelContract, documents: Sequence[Document], beliefs: Beliefs, seed: int) -> dict[str, object]:
    """Return what is found of errors drawn by a seed; what the model believes asks no tags."""
    changed, planted = spoil(documents, contract.type_names, random.Random(seed))
    sentences = {(each.id, at): one for each in changed for at, one in enumerate(each.sentences)}
    suspected = find_suspicious("test", changed, beliefs, contract)
    found: set[tuple[Key, int]] = set()
    right = 0
    for each in suspected:
        key = (each.place.document, each.place.sentence or 0)
        hits = [one for one in planted.get(key, []) if one.is_found_by(each, sentences[key])]
        right += bool(hits)
        found |= {(key, one.span.start) for one in hits}
    number = sum(len(each) for each in planted.values())
    return {
        "seed": seed,
        "planted": number,
        "found": len(found),
        "recall": len(found) / number,
        "suspected": len(suspected),
        "precision": right / len(suspected),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    tagger = load_tagger(options.model)
    types = {each.name: each.meaning for each in tagger.contract.types}
    config = Conll2003Data(contract=ContractConfig(name=tagger.contract.name, types=types))
    documents = load_corpus(config).test
    beliefs = type_beliefs(tagger, documents, TrainingConfig())
    write_json(
        options.output,
        {
            "undisturbed": len(find_suspicious("test", documents, beliefs, tagger.contract)),
            "seeds": [measure(tagger.contract, documents, beliefs, seed) for seed in SEEDS],
            "environment": environment(None),
        },
    )


if __name__ == "__main__":
    main()
