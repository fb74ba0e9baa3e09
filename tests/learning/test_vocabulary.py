import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import RobertaConfig, RobertaModel

from fedner.config import ModelConfig, Precision, TrainingConfig, Windowing
from fedner.data.corpus import Document
from fedner.data.encoding import Encoded, encode
from fedner.data.labels import LabelContract
from fedner.learning.tagger.model import Tagger, build_tagger
from fedner.learning.tagger.tensors import get_state, set_state
from fedner.learning.tagger.tiny import tiny_tokenizer
from fedner.learning.training import vocabulary
from fedner.learning.training.fitting import fit
from fedner.learning.training.schedule import in_round, learning_rate
from fedner.learning.training.vocabulary import only_rows, used_rows

WEIGHT = "bert.embeddings.word_embeddings.weight"


def test_rows_that_no_window_uses_only_shrink_by_weight_decay(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig
) -> None:
    config = replace(config, weight_decay=0.1, lr=1e-2)
    before = get_state(tagger.model)[WEIGHT]
    result = fit(tagger, encoded, in_round(config, seed=0, site="a", number=1, rounds=1))
    after = get_state(tagger.model)[WEIGHT]
    steps = result.steps
    factor = math.prod(1 - 0.1 * learning_rate(config, (step + 0.5) / steps) for step in range(steps))
    unused = np.setdiff1d(np.arange(len(before)), encoded.input_ids)
    unused = unused[unused != encoded.pad_id]
    assert 0 < len(unused) < len(before)
    assert factor < 0.9999
    np.testing.assert_allclose(after[unused], before[unused] * factor, rtol=1e-5)


def test_the_model_has_its_own_embedding_back_also_after_an_error(tagger: Tagger, encoded: Encoded) -> None:
    weight = tagger.model.get_input_embeddings().weight
    rows = used_rows(encoded)

    def fail_within() -> None:
        with only_rows(tagger.model, rows) as used:
            assert used is not None
            assert tagger.model.get_input_embeddings().weight.shape == (len(rows), 64)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_within()
    assert tagger.model.get_input_embeddings().weight is weight


def test_rows_with_moments_take_part_even_when_no_window_uses_them(encoded: Encoded) -> None:
    moments = np.zeros((400, 3), np.float32)
    moments[[7, 390], 1] = 1.0
    assert set(used_rows(encoded, moments)) == {*encoded.input_ids.tolist(), encoded.pad_id, 7, 390}


def test_a_frozen_or_fully_used_embedding_is_left_as_it_is(tagger: Tagger) -> None:
    weight = tagger.model.get_input_embeddings().weight
    with only_rows(tagger.model, np.arange(len(weight))) as used:
        assert used is None
    weight.requires_grad_(False)
    with only_rows(tagger.model, np.arange(9)) as used:
        assert used is None
        assert tagger.model.get_input_embeddings().weight is weight


def test_positions_that_hang_on_the_padding_id_stay_right(
    contract: LabelContract,
    documents: tuple[Document, ...],
    config: TrainingConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RoBERTa counts positions from the padding id; training with and without the smaller embedding must agree."""
    tokenizer = tiny_tokenizer()
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    RobertaModel(RobertaConfig(vocab_size=len(tokenizer), pad_token_id=1, **sizes)).save_pretrained(tmp_path)
    tokenizer.pad_token = "[UNK]"  # id 1
    tokenizer.save_pretrained(tmp_path)
    tagger = build_tagger(ModelConfig(name=str(tmp_path), dropout=0.0), contract, seed=0)
    encoded = encode(documents, tagger.tokenizer, contract, Windowing(64, 4))
    start = get_state(tagger.model)
    config = replace(config, precision=Precision.fp32, epsilon=1e-4)
    found = []
    for share in (vocabulary._WORTHWHILE, 0.0):
        monkeypatch.setattr(vocabulary, "_WORTHWHILE", share)
        set_state(tagger.model, start)
        fit(tagger, encoded, in_round(config, seed=0, site="a", number=1, rounds=1))
        found.append(get_state(tagger.model))
    assert encoded.pad_id == 1
    for name, array in found[0].items():
        np.testing.assert_allclose(array, found[1][name], atol=1e-5, err_msg=name)
    with torch.no_grad():
        assert not np.allclose(found[0]["classifier.weight"], start["classifier.weight"], atol=1e-4)
