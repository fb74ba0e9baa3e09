"""The tagger and the encodings that the sites of one process share, warm between rounds.

Sites that train one after another in a process need one model, not one each: `set_state` before, `get_state` after.
"""

import hashlib
import json
from collections import OrderedDict
from functools import lru_cache

from fedner.config import ModelConfig
from fedner.config.by_value import ByValue
from fedner.data.corpus import Document
from fedner.data.encoding import Encoded
from fedner.data.labels import LabelContract
from fedner.learning.tagger.model import Tagger, build_tagger, seed_head
from fedner.learning.tagger.tensors import get_state, set_state
from fedner.tensors import State

_ENCODINGS_KEPT = 64  # three splits of twenty sites; an encoding is about 8 bytes a word piece


class Workspace:
    """A tagger of one configuration and contract, and the encodings made for it."""

    def __init__(self, config: ModelConfig, contract: LabelContract) -> None:
        self.tagger: Tagger = build_tagger(config, contract, seed=0)
        self._pristine: State = get_state(self.tagger.model)
        self._by_identity: OrderedDict[int, tuple[tuple[Document, ...], Encoded]] = OrderedDict()
        self._by_content: OrderedDict[str, Encoded] = OrderedDict()

    def initial_state(self, seed: int) -> State:
        """Return the state a run with this seed starts from, and leave the tagger in it."""
        set_state(self.tagger.model, self._pristine)
        if not self.tagger.head_is_trained:
            seed_head(self.tagger.model, seed)
        return get_state(self.tagger.model)

    def initial_personal(self, seed: int) -> State:
        """Return the personal tensors of a site that has never trained, and leave the tagger in that state."""
        initial = self.initial_state(seed)
        return {name: initial[name] for name in initial if name in self.tagger.personal}

    def encoded(self, documents: tuple[Document, ...]) -> Encoded:
        """Return the encoding of some documents; the same documents, or equal ones, are encoded once."""
        known = self._by_identity.get(id(documents))
        if known is not None:
            self._by_identity.move_to_end(id(documents))
            return known[1]
        key = _content_digest(documents)
        encoded = self._by_content.get(key)
        if encoded is None:
            encoded = self.tagger.encode(documents)
        self._by_content[key] = encoded
        self._by_content.move_to_end(key)
        # The tuple is kept with it: while it lives no other object can have its identity.
        self._by_identity[id(documents)] = (documents, encoded)
        for cache in (self._by_identity, self._by_content):
            while len(cache) > _ENCODINGS_KEPT:
                cache.popitem(last=False)
        return encoded


def workspace(config: ModelConfig, contract: LabelContract) -> Workspace:
    """Return this process's workspace for a configuration and contract; made on first use.

    Raises:
        InputError: as `build_tagger`.
    """
    return _workspace(ByValue(config), contract)


@lru_cache(maxsize=2)
def _workspace(config: ByValue[ModelConfig], contract: LabelContract) -> Workspace:
    return Workspace(config.value, contract)


def _content_digest(documents: tuple[Document, ...]) -> str:
    total = hashlib.blake2b(digest_size=16)
    for document in documents:
        content = [document.id, [(s.words, s.tags) for s in document.sentences], document.unannotated]
        total.update(json.dumps(content).encode())
    return total.hexdigest()
