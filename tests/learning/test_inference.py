import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from transformers import pipeline
from transformers.modeling_outputs import TokenClassifierOutput

from fedner.config import ModelConfig, Precision, TrainingConfig, Windowing
from fedner.data.corpus import Document, Sentence
from fedner.data.encoding import Encoded, encode, unlabelled
from fedner.data.labels import EntityType, LabelContract, spans_of
from fedner.errors import RunError
from fedner.learning.batches import Batch
from fedner.learning.inference import decode, evaluate, predict_documents, predict_tags, type_beliefs
from fedner.learning.tagger.model import Tagger, build_tagger, save_tagger
from fedner.learning.training.fitting import fit
from fedner.learning.training.schedule import in_round

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def say(tagger: Tagger, monkeypatch: pytest.MonkeyPatch, tag_of_piece: dict[str, str]) -> None:
    """Make the model answer with a fixed tag per word piece, O for all others; everything around it stays real."""
    table = torch.zeros(len(tagger.tokenizer), 5)
    table[:, 0] = 1.0
    for piece, tag in tag_of_piece.items():
        table[tagger.tokenizer.convert_tokens_to_ids(piece)] = torch.eye(5)[TAGS.index(tag)]

    def forward(input_ids: torch.Tensor, attention_mask: Any = None) -> TokenClassifierOutput:
        return TokenClassifierOutput(logits=table[input_ids])  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(tagger.model, "forward", forward)


def conlleval_chunks(tags: list[str]) -> list[tuple[str, int, int]]:
    """Return chunks as seqeval's default mode does, which follows conlleval; the end is included."""
    return [(kind, begin, end) for kind, begin, end in get_entities(tags)]


def test_each_word_gets_one_tag_whatever_its_windows(tagger: Tagger, encoded: Encoded, config: TrainingConfig) -> None:
    assert encoded.stats.cut_sentences > 0
    predicted = predict_tags(tagger, encoded, config)
    assert [len(tags) for tags in predicted] == [len(sentence.words) for sentence in encoded.sentences()]


def test_beliefs_are_the_models_own_with_b_and_i_of_a_type_together(
    tagger: Tagger, config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(tagger, monkeypatch, {"x": "B-PER", "y": "I-LOC"})
    (row_o, row_per, row_loc) = type_beliefs(tagger, [Document("d", (unlabelled(["z", "x", "y"]),))], config)
    one, other = np.e / (np.e + 4), 1 / (np.e + 4)  # softmax of a 1 among four 0
    np.testing.assert_allclose(row_o, [one, 2 * other, 2 * other], rtol=1e-5)
    np.testing.assert_allclose(row_per, [other, one + other, 2 * other], rtol=1e-5)
    np.testing.assert_allclose(row_loc, [other, 2 * other, one + other], rtol=1e-5)


def test_a_word_far_into_a_cut_sentence_gets_the_tag_of_its_own_first_piece(
    tagger: Tagger, config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(tagger, monkeypatch, {"x": "B-PER", "##y": "B-LOC"})
    words = ["zy"] * 90
    words[47] = "xy"
    encoded = encode([Document("d", (unlabelled(words),))], tagger.tokenizer, tagger.contract, Windowing(64, 8))
    assert encoded.num_windows > 2
    (tags,) = predict_tags(tagger, encoded, config)
    assert tags == ["O"] * 47 + ["B-PER"] + ["O"] * 42


@settings(max_examples=60)
@given(st.lists(st.lists(st.sampled_from("abcde"), max_size=8), max_size=4))
def test_predictions_are_legal_and_hold_the_entities_that_conlleval_reads(
    tagger: Tagger, config: TrainingConfig, texts: list[list[str]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        say(tagger, patch, dict(zip("abcde", TAGS, strict=True)))
        text = Document("d", tuple(unlabelled(words) for words in texts))
        encoded = encode([text], tagger.tokenizer, tagger.contract, Windowing(64, 8))
        predicted = predict_tags(tagger, encoded, config)
    raw = [[TAGS["abcde".index(word)] for word in words] for words in texts]
    for tags, said in zip(predicted, raw, strict=True):
        assert [(span.type, span.start, span.end - 1) for span in spans_of(tags)] == conlleval_chunks(said)
        assert not any(
            tag.startswith("I-") and before[2:] != tag[2:] for before, tag in zip(["O", *tags], tags, strict=False)
        )


@dataclass
class PieceTable:
    """A predictor without a model: a word's logits follow from its first piece."""

    table: torch.Tensor
    device: torch.device

    def logits(self, batch: Batch) -> torch.Tensor:
        return self.table[batch.input_ids.flatten()[batch.positions]]


def test_decoding_takes_any_predictor(tagger: Tagger) -> None:
    table = torch.zeros(len(tagger.tokenizer), len(TAGS))
    for word, tag in (("x", "B-PER"), ("y", "I-LOC")):
        table[tagger.tokenizer.convert_tokens_to_ids(word), TAGS.index(tag)] = 1.0
    encoded = tagger.encode([Document("d", (unlabelled(["z", "x", "y"]), unlabelled(["y", "y"])))])
    tag_ids = decode(PieceTable(table, torch.device("cpu")), encoded, batch_size=1)
    assert [TAGS[index] for index in tag_ids] == ["O", "B-PER", "B-LOC", "B-LOC", "I-LOC"]


def test_evaluation_counts_per_document_and_sums_the_loss(
    tagger: Tagger, config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(tagger, monkeypatch, {"a": "B-PER", "b": "B-LOC"})
    documents = [
        Document("d0", (Sentence(("a", "b"), ("B-PER", "B-PER")), Sentence(("c",), ("B-LOC",)))),
        Document("empty", ()),
        Document("d1", (Sentence(("a", "a", "c"), ("B-PER", "I-PER", "O")),)),
    ]
    encoded = encode(documents, tagger.tokenizer, tagger.contract, Windowing(64, 8))
    evaluation = evaluate(tagger, encoded, config)
    # d0: PER right, LOC at b wrong, PER at b and LOC at c missed. d1: two PER found where one long one was.
    assert evaluation.document_counts.tolist() == [[[1, 0, 1], [0, 1, 1]], [[0, 0, 0]] * 2, [[0, 2, 1], [0, 0, 0]]]
    # Logits are one-hot: log-sum-exp is log(e + 4), minus 1 where the tag was right: 2 of 6 words right in d0 and d1.
    right = 1 + 1 + 1  # a in d0, a and c in d1
    assert evaluation.loss_sum == pytest.approx(6 * np.log(np.e + 4) - right)
    assert evaluation.num_words == 6


def test_evaluation_leaves_no_gradient_and_the_generators_alone(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig
) -> None:
    before = torch.get_rng_state()
    first, second = (evaluate(tagger, encoded, config) for _ in range(2))
    assert np.array_equal(first.document_counts, second.document_counts)
    assert first.loss_sum == second.loss_sum
    assert torch.equal(before, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in tagger.model.parameters())


def test_the_batch_size_of_evaluation_does_not_change_the_loss(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig
) -> None:
    config = replace(config, precision=Precision.fp32)
    losses = [evaluate(tagger, encoded, replace(config, eval_batch_size=size)).loss_sum for size in (1, 5, 64)]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)


def test_text_of_another_contract_is_refused(tagger: Tagger, config: TrainingConfig) -> None:
    other = LabelContract("other", 1, (EntityType("DRUG"),))
    encoded = encode([], tagger.tokenizer, other, Windowing(64, 8))
    with pytest.raises(RunError, match="another contract"):
        evaluate(tagger, encoded, config)


def test_predicted_documents_keep_all_but_their_tags(
    tagger: Tagger, documents: tuple[Document, ...], config: TrainingConfig
) -> None:
    predicted = predict_documents(tagger, documents, config)
    assert [document.id for document in predicted] == [document.id for document in documents]
    for before, after in zip(documents, predicted, strict=True):
        assert [s.words for s in before.sentences] == [s.words for s in after.sentences]
        assert all(len(s.tags) == len(s.words) for s in after.sentences)


def pipeline_entities(directory: Path, sentences: list[list[str]]) -> list[list[tuple[str, int, int]]]:
    """Return what transformers alone finds: type, first and last character."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own remarks about its arguments
        tag = pipeline("token-classification", model=str(directory), aggregation_strategy="first", device="cpu")
        found = tag([" ".join(words) for words in sentences])
    return [[(e["entity_group"], e["start"], e["end"]) for e in entities] for entities in found]


def our_entities(
    tagger: Tagger, sentences: list[list[str]], config: TrainingConfig
) -> list[list[tuple[str, int, int]]]:
    text = Document("d", tuple(unlabelled(words) for words in sentences))
    (predicted,) = predict_documents(tagger, [text], config)
    result: list[list[tuple[str, int, int]]] = []
    for sentence in predicted.sentences:
        starts = np.cumsum([0, *(len(word) + 1 for word in sentence.words)])
        result.append([(s.type, int(starts[s.start]), int(starts[s.end]) - 1) for s in spans_of(sentence.tags)])
    return result


def test_the_pipeline_finds_the_same_entities_in_an_exported_model(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, documents: tuple[Document, ...], tmp_path: Path
) -> None:
    for number in (1, 2):  # little enough that illegal sequences are still predicted
        fit(tagger, encoded, in_round(replace(config, lr=2e-3), seed=0, site="a", number=number, rounds=6))
    save_tagger(tagger, tmp_path, "")
    sentences = [list(sentence.words) for document in documents for sentence in document.sentences]
    rng = np.random.default_rng(0)
    pool = [word for words in sentences for word in words]
    sentences += [[str(word) for word in rng.choice(pool, size=6)] for _ in range(40)]
    fitting = [words for words in sentences if len(tagger.tokenizer(" ".join(words))["input_ids"]) <= 64]
    ours = our_entities(tagger, fitting, config)
    assert sum(map(len, ours)) > 20
    assert ours == pipeline_entities(tmp_path, fitting)


@pytest.mark.slow
@pytest.mark.assets
def test_the_pipeline_finds_the_same_entities_in_an_exported_minilm(
    contract: LabelContract, documents: tuple[Document, ...], config: TrainingConfig, tmp_path: Path
) -> None:
    tagger = build_tagger(ModelConfig(name="minilm", max_length=128), contract, seed=0)
    encoded = encode(documents, tagger.tokenizer, contract, Windowing(128, 16))
    for number in range(1, 4):
        fit(tagger, encoded, in_round(replace(config, lr=1e-4), seed=0, site="a", number=number, rounds=4))
    save_tagger(tagger, tmp_path, "")
    sentences = [list(sentence.words) for document in documents for sentence in document.sentences]
    ours = our_entities(tagger, sentences, config)
    assert sum(map(len, ours)) > 10
    assert ours == pipeline_entities(tmp_path, sentences)
