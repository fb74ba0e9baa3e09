"""Copies of test documents planted in training text: which, how much edited, and at which site; all from one seed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from fedner.data.corpus import Document, Sentence, Shard
from fedner.seeding import generator

SHARE = 0.05
EDITS = {"word for word": 0.0, "2 % of words replaced": 0.02, "5 % of words replaced": 0.05}
"""Kind of copy -> share of its words that are replaced, one at least."""


class Where(StrEnum):
    """Whose training text a copy is planted in."""

    same_site = "same_site"
    other_site = "other_site"


@dataclass(frozen=True)
class Plant:
    """A test document of a site, and its copy in the training text of the same site or another one."""

    test_site: str
    test: str
    train_site: str
    copy: Document
    kind: str
    where: Where


def edited(document: Document, name: str, share: float, rng: np.random.Generator, words: Sequence[str]) -> Document:
    """Return a copy with a share of its words replaced by words of the corpus; tags stay as they are."""
    total = sum(len(sentence.words) for sentence in document.sentences)
    changed = set(rng.choice(total, max(1, round(share * total)), replace=False).tolist()) if share else set[int]()
    sentences: list[Sentence] = []
    start = 0
    for sentence in document.sentences:
        new = tuple(
            words[rng.integers(len(words))] if start + index in changed else word
            for index, word in enumerate(sentence.words)
        )
        sentences.append(replace(sentence, words=new))
        start += len(new)
    return replace(document, id=name, sentences=tuple(sentences))


def plant(shards: Sequence[Shard], seed: int, share: float = SHARE) -> list[Plant]:
    """Draw test documents, a share of all for each of the two places, and copy them; kinds of copies take turns."""
    rng = generator(seed, "planted duplicates")
    words = sorted({word for shard in shards for each in shard.train for line in each.sentences for word in line.words})
    tests = [(shard.site, document) for shard in shards for document in shard.test]
    sites = [shard.site for shard in shards]
    number = round(share * len(tests))
    found: list[Plant] = []
    for index, drawn in enumerate(rng.choice(len(tests), 2 * number, replace=False).tolist()):
        site, document = tests[drawn]
        where = Where.same_site if index < number else Where.other_site
        others = [name for name in sites if name != site]
        target = site if where is Where.same_site else others[rng.integers(len(others))]
        kind = list(EDITS)[index % len(EDITS)]
        copy = edited(document, f"planted/{index}", EDITS[kind], rng, words)
        found.append(Plant(site, document.id, target, copy, kind, where))
    return found


def with_plants(shards: Sequence[Shard], plants: Sequence[Plant]) -> list[Shard]:
    """Return the sites with the copies in their training text."""
    return [
        replace(shard, train=(*shard.train, *(each.copy for each in plants if each.train_site == shard.site)))
        for shard in shards
    ]
