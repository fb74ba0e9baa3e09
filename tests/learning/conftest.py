"""A small tagger and a few sentences, shared by the tests of this folder."""

import copy
from collections.abc import Callable

import pytest
import torch

from fedner.config import ModelConfig, TrainingConfig
from fedner.data.corpus import Document, Sentence
from fedner.data.encoding import Encoded
from fedner.data.labels import EntityType, LabelContract
from fedner.learning.batches import collate
from fedner.learning.tagger.model import Tagger, build_tagger
from fedner.learning.tagger.tensors import get_state, set_state
from fedner.learning.training.sampling import training_order
from fedner.tensors import State


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
    return tagger.encode(documents)


@pytest.fixture
def config() -> TrainingConfig:
    return TrainingConfig(lr=1e-3, batch_size=4, device="cpu", threads=1)


def _plain_adamw(
    tagger: Tagger,
    encoded: Encoded,
    config: TrainingConfig,
    start: State,
    num_rounds: int,
    mu: float = 0.0,
    linear: State | None = None,
) -> State:
    """Train the whole model, all rows of the vocabulary, with torch's plain AdamW; no dropout, fp32.

    The loss has the terms mu/2 ||w - w_round||^2 and <linear, w>.
    """
    slope = {name: torch.from_numpy(array) for name, array in (linear or {}).items()}
    set_state(tagger.model, start)
    model = copy.deepcopy(tagger.model)
    no_decay = [p for n, p in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
    decay = [p for n, p in model.named_parameters() if not (n.endswith("bias") or "LayerNorm" in n)]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": config.weight_decay}, {"params": no_decay, "weight_decay": 0.0}],
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
    )
    for number in range(num_rounds):
        anchor = {n: p.detach().clone() for n, p in model.named_parameters()}
        order = training_order(encoded, config.batch_size, 0, number, "a")
        for index, windows in enumerate(order):
            batch = collate(encoded, windows, torch.device("cpu"))
            logits = model(input_ids=batch.input_ids, attention_mask=batch.mask).logits
            words = logits.flatten(0, 1)[batch.positions]
            loss = torch.nn.functional.cross_entropy(words, batch.targets, reduction="sum")
            loss = loss / (len(windows) * encoded.num_words / encoded.num_windows)
            loss = loss + sum(mu / 2 * ((p - anchor[n]) ** 2).sum() for n, p in model.named_parameters())
            loss = loss + sum((slope[n] * p).sum() for n, p in model.named_parameters() if n in slope)
            optimizer.zero_grad()
            loss.backward()
            if config.max_grad_norm is not None:
                torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
            done = (number + (index + 0.5) / len(order)) / num_rounds
            for group in optimizer.param_groups:  # linear, warm-up 0.1
                group["lr"] = config.lr * (done / 0.1 if done < 0.1 else (1 - done) / 0.9)
            optimizer.step()
    return get_state(model)


@pytest.fixture(scope="session")
def plain_adamw() -> Callable[..., State]:
    return _plain_adamw
