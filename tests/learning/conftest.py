"""A small tagger and a few sentences, shared by the tests of this folder."""

import pytest

from fedner.config import ModelConfig, TrainingConfig
from fedner.data.corpus import Document, Sentence
from fedner.data.encoding import Encoded, encode
from fedner.data.labels import EntityType, LabelContract
from fedner.learning.model import Tagger, build_tagger


@pytest.fixture(scope="session")
def contract() -> LabelContract:
    return LabelContract("test", 1, (EntityType("PER", "people"), EntityType("LOC", "places")))


@pytest.fixture(scope="session")
def documents() -> tuple[Document, ...]:
    """Nine documents of 27 sentences: 1 to 21 words long, two of them longer than a window of 64 pieces."""
    names, places = ("Anna Meyer", "Bo", "Carla del Rio"), ("Bern", "New York", "Ulm")
    documents: list[Document] = []
    for number in range(9):
        name, place = names[number % 3].split(), places[number // 3].split()
        tagged_name = ["B-PER", *["I-PER"] * (len(name) - 1)]
        tagged_place = ["B-LOC", *["I-LOC"] * (len(place) - 1)]
        filler = ["gardening"] * (number * 2)
        sentences = (
            Sentence((*name, "went", "to", *place, "."), (*tagged_name, "O", "O", *tagged_place, "O")),
            Sentence((*filler, "in", *place), ("O",) * (len(filler) + 1) + tuple(tagged_place)),
            Sentence((f"w{number}",), ("O",)),
        )
        documents.append(Document(f"d{number}", sentences))
    return tuple(documents)


@pytest.fixture
def tagger(contract: LabelContract) -> Tagger:
    return build_tagger(ModelConfig(name="tiny-random", max_length=64, overlap_words=4), contract, seed=0)


@pytest.fixture
def encoded(tagger: Tagger, documents: tuple[Document, ...]) -> Encoded:
    return encode(documents, tagger.tokenizer, tagger.contract, tagger.max_length, tagger.overlap_words)


@pytest.fixture
def config() -> TrainingConfig:
    return TrainingConfig(lr=1e-3, batch_size=4, device="cpu", threads=1)
