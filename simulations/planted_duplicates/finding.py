"""How many of the planted copies are found, within sites by the audit and between sites by fingerprints, and what else.

What is found is held against every pair compared in full, shingle by shingle, by code of its own: a document that was
not planted is right where the corpus itself has it twice, and wrong where it has not.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from planting import EDITS, Plant, Where, plant, with_plants

from fedner.data.auditing import AuditOptions
from fedner.data.auditing.duplicates import document_texts, find_duplicates
from fedner.data.corpus import Document, Shard
from fedner.data.overlap import OverlapKey, find_overlap, look_up, take_fingerprint
from fedner.data.overlap.comparing import THRESHOLD
from fedner.data.overlap.fingerprints import MIN_WORDS

KEY = OverlapKey(bytes(range(32)))  # a study must give the same figures again; a federation makes a random one
NEAR = AuditOptions().threshold
Shingles = frozenset[tuple[str, ...]]


def find(shards: Sequence[Shard], seeds: Sequence[int]) -> dict[str, object]:
    """Return recall and precision over all seeds."""
    totals: dict[Where, Counter[str]] = {where: Counter() for where in Where}
    seconds: Counter[str] = Counter()
    for seed in seeds:
        plants = plant(shards, seed)
        planted = with_plants(shards, plants)
        start = time.process_time()
        within = _leaked_within(planted)
        seconds["audit of documents"] += time.process_time() - start
        start = time.process_time()
        across = _leaked_across(planted)
        seconds["fingerprints and overlap"] += time.process_time() - start
        for where, leaked in ((Where.same_site, within), (Where.other_site, across)):
            totals[where].update(_counts(planted, plants, leaked, where))
        print(f"seed {seed}: {len(within)} found within sites, {len(across)} between sites")
    return {
        **{where.value: _told(total) for where, total in totals.items()},
        "seeds": list(seeds),
        "options": {"near": NEAR, "threshold_between_sites": THRESHOLD, "min_words_between_sites": MIN_WORDS},
        "seconds_each": {name: round(value / len(seeds), 2) for name, value in seconds.items()},
    }


def _leaked_within(shards: Sequence[Shard]) -> set[str]:
    """Return the test documents that their own site's audit finds in its train."""
    leaked: set[str] = set()
    for shard in shards:
        texts = document_texts({"train": shard.train, "test": shard.test})
        found = find_duplicates(texts, NEAR, AuditOptions().shingle)
        leaked |= {each.place.document for each in found if each.place.split == "test" != each.earlier.split}
    return leaked


def _leaked_across(shards: Sequence[Shard]) -> set[str]:
    """Return the test documents that fingerprints find in another site's train."""
    taken = [take_fingerprint(each.site, {"train": each.train, "test": each.test}, KEY) for each in shards]
    overlap = find_overlap([each.fingerprint for each in taken])
    own = [look_up(overlap, each.fingerprint.site, each.documents) for each in taken]
    return set(chain.from_iterable(each.to_leave_out for each in own))


def _counts(shards: Sequence[Shard], plants: Sequence[Plant], leaked: set[str], where: Where) -> Counter[str]:
    chosen = [each for each in plants if each.where is where]
    truth = _similarities(shards, where)
    counts: Counter[str] = Counter()
    for each in chosen:
        counts[f"planted, {each.kind}"] += 1
        counts[f"found, {each.kind}"] += each.test in leaked
    planted = {each.test for each in chosen}
    near = {name for name, similarity in truth.items() if similarity >= NEAR}
    counts["near"] = len(near)
    counts["near and found"] = len(near & leaked)
    counts["all found"] = len(leaked)
    counts["found and planted"] = len(leaked & planted)
    counts["found, twice in the corpus itself"] = len(leaked & near - planted)
    for name in leaked - planted - near:
        counts[f"found at a similarity of {truth[name]:.2f}"] += 1
    short = {each.id for shard in shards for each in shard.test if len(_words(each)) < MIN_WORDS}
    counts["planted, but too short for a fingerprint"] = len(planted & short) if where is Where.other_site else 0
    return counts


def _similarities(shards: Sequence[Shard], where: Where) -> dict[str, float]:
    """Return for every test document the largest similarity to a training document of its own site, or of others."""
    best: dict[str, float] = {}
    for shard in shards:
        training = [
            document
            for other in shards
            if (other.site == shard.site) == (where is Where.same_site)
            for document in other.train
        ]
        best |= _largest([*shard.test], training)
    return best


def _largest(tests: Sequence[Document], training: Sequence[Document]) -> dict[str, float]:
    sets = [_shingles(each) for each in training]
    holders: dict[tuple[str, ...], list[int]] = {}
    for index, shingles in enumerate(sets):
        for shingle in shingles:
            holders.setdefault(shingle, []).append(index)
    found: dict[str, float] = {}
    for test in tests:
        own = _shingles(test)
        shared = Counter(index for shingle in own for index in holders.get(shingle, ()))
        found[test.id] = max(
            (both / (len(own) + len(sets[index]) - both) for index, both in shared.items()), default=0.0
        )
    return found


def _shingles(document: Document) -> Shingles:
    words = _words(document)
    return frozenset(zip(words, words[1:], words[2:], strict=False)) or frozenset({words})


def _words(document: Document) -> tuple[str, ...]:
    return tuple(chain.from_iterable(sentence.words for sentence in document.sentences))


def _told(total: Mapping[str, int]) -> dict[str, object]:
    planted, found = _sum(total, "planted, ", EDITS), _sum(total, "found, ", EDITS)
    wrong = {name: number for name, number in total.items() if name.startswith("found at a similarity")}
    right = total["found and planted"] + total["found, twice in the corpus itself"]
    return {
        "planted": planted,
        "found": found,
        "recall": found / planted,
        "recall_by_kind": {kind: total[f"found, {kind}"] / total[f"planted, {kind}"] for kind in EDITS},
        "too_short": total["planted, but too short for a fingerprint"],
        "near": {"documents": total["near"], "recall": total["near and found"] / total["near"]},
        "all_found": total["all found"],
        "twice_in_the_corpus_itself": total["found, twice in the corpus itself"],
        "precision": right / total["all found"],
        "wrong": dict(sorted(wrong.items())),
    }


def _sum(total: Mapping[str, int], prefix: str, kinds: Iterable[str]) -> int:
    return sum(total[f"{prefix}{kind}"] for kind in kinds)
