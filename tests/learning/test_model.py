import json
import logging
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForTokenClassification, BertConfig, BertModel, RobertaConfig, RobertaModel

from fedner.config import ModelConfig, Windowing
from fedner.data.labels import EntityType, LabelContract
from fedner.errors import ConfigError, InputError, LabelError, StateError
from fedner.learning.tagger.model import Tagger, build_tagger, load_tagger, save_tagger
from fedner.learning.tagger.tensors import get_state, set_state, travelling_names
from fedner.learning.tagger.tiny import tiny_tokenizer
from fedner.tensors import digest

TINY = ModelConfig(name="tiny-random", max_length=64)
SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture
def encoder_directory(tmp_path: Path) -> Path:
    """A BERT encoder without a head, as published ones are."""
    tokenizer = tiny_tokenizer()
    BertModel(BertConfig(vocab_size=len(tokenizer), **SIZES)).save_pretrained(tmp_path / "encoder")
    tokenizer.save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


def test_labels_of_the_model_are_those_of_the_contract(tagger: Tagger) -> None:
    assert tagger.model.config.id2label == {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}
    assert tagger.model.config.label2id["I-LOC"] == 4


def test_the_head_depends_on_the_seed_alone(contract: LabelContract, encoder_directory: Path) -> None:
    for config in (TINY, ModelConfig(name=str(encoder_directory))):
        torch.manual_seed(1)
        first = get_state(build_tagger(config, contract, 0).model)
        torch.manual_seed(2)
        again, other = (get_state(build_tagger(config, contract, seed).model) for seed in (0, 1))
        assert digest(first) == digest(again)
        different = [name for name in first if not np.array_equal(first[name], other[name])]
        assert different == ["classifier.weight"]
        assert not first["classifier.bias"].any()


def test_building_leaves_the_global_generator_alone(contract: LabelContract, encoder_directory: Path) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    build_tagger(TINY, contract, 0)
    build_tagger(ModelConfig(name=str(encoder_directory)), contract, 0)
    assert torch.equal(before, torch.get_rng_state())


def test_loading_an_encoder_without_a_head_says_nothing(
    contract: LabelContract,
    encoder_directory: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    capfd.readouterr()
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        build_tagger(ModelConfig(name=str(encoder_directory)), contract, 0)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_state_goes_out_and_comes_back_bit_for_bit(tagger: Tagger, contract: LabelContract) -> None:
    state = get_state(tagger.model)
    other = build_tagger(TINY, contract, seed=9)
    for array in state.values():
        array.setflags(write=False)  # as arrays out of a message are
    set_state(other.model, state)
    assert digest(get_state(other.model)) == digest(state)
    assert all(array.dtype == np.float32 and array.flags.c_contiguous for array in state.values())


def test_a_state_never_aliases_the_weights(tagger: Tagger) -> None:
    state = get_state(tagger.model)
    before = digest(state)
    with torch.no_grad():
        for parameter in tagger.model.parameters():
            parameter.add_(1)
    assert digest(state) == before
    set_state(tagger.model, state)
    state["classifier.bias"] += 1
    assert not get_state(tagger.model)["classifier.bias"].any()


def test_a_foreign_state_is_refused_by_name_before_anything_is_written(tagger: Tagger) -> None:
    before = get_state(tagger.model)
    changed = {name: array + 1 for name, array in before.items()}
    renamed = {("x" if name == "classifier.bias" else name): array for name, array in changed.items()}
    with pytest.raises(StateError, match=r"missing \['classifier.bias'\], not in the model \['x'\]"):
        set_state(tagger.model, renamed)
    with pytest.raises(StateError, match=r"'classifier.bias' expected float32\[5\], got float32\[1\]"):
        set_state(tagger.model, changed | {"classifier.bias": np.zeros(1, np.float32)})
    with pytest.raises(StateError, match="got float64"):
        set_state(tagger.model, changed | {"classifier.bias": np.zeros(5)})
    assert digest(get_state(tagger.model)) == digest(before)


def test_frozen_parameters_neither_train_nor_travel(contract: LabelContract) -> None:
    model = build_tagger(replace(TINY, frozen=["bert.embeddings", "bert.encoder.layer.1"]), contract, 0).model
    assert {name.split(".")[3] for name in travelling_names(model) if name.startswith("bert.encoder")} == {"0"}
    assert not any(name.startswith("bert.embeddings") for name in travelling_names(model))
    assert all(p.requires_grad == (n in travelling_names(model)) for n, p in model.named_parameters())


def test_float_buffers_travel_and_integer_ones_do_not() -> None:
    module = torch.nn.BatchNorm1d(2)  # buffers: running_mean and running_var float, num_batches_tracked integer
    assert travelling_names(module) == ["weight", "bias", "running_mean", "running_var"]


@pytest.mark.parametrize("prefix", ["bert.embedding", "classifier"])
def test_freezing_nothing_or_the_head_is_refused(contract: LabelContract, prefix: str) -> None:
    with pytest.raises(ConfigError, match=r"model\.frozen"):
        build_tagger(replace(TINY, frozen=[prefix]), contract, 0)


def test_dropout_is_set_in_encoder_and_head(contract: LabelContract, encoder_directory: Path) -> None:
    for name in ("tiny-random", str(encoder_directory)):
        model = build_tagger(ModelConfig(name=name, dropout=0.25), contract, 0).model
        assert {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)} == {0.25}


def test_a_saved_tagger_comes_back_whole(tagger: Tagger, tmp_path: Path) -> None:
    save_tagger(tagger, tmp_path, "# A model\n\nTrained on nothing.\n")
    loaded = load_tagger(tmp_path)
    assert digest(get_state(loaded.model)) == digest(get_state(tagger.model))
    assert (loaded.contract, loaded.windowing) == (tagger.contract, Windowing(64, 4))
    assert loaded.tokenizer.tokenize("Anna’s") == tagger.tokenizer.tokenize("Anna’s")
    assert (tmp_path / "README.md").read_text() == "# A model\n\nTrained on nothing.\n"
    assert (tmp_path / "model.safetensors").is_file()


def test_how_text_is_cut_is_saved_and_a_model_from_before_there_was_context_has_none(
    tagger: Tagger, tmp_path: Path
) -> None:
    save_tagger(replace(tagger, windowing=Windowing(64, 4, 5)), tmp_path, "# A model\n")
    assert load_tagger(tmp_path).windowing == Windowing(64, 4, 5)
    settings = json.loads((tmp_path / "fedner.json").read_text())
    del settings["context_words"]
    (tmp_path / "fedner.json").write_text(json.dumps(settings))
    assert load_tagger(tmp_path).windowing == Windowing(64, 4, 0)


def test_transformers_alone_reads_a_saved_tagger(tagger: Tagger, tmp_path: Path) -> None:
    save_tagger(tagger, tmp_path, "")
    model = AutoModelForTokenClassification.from_pretrained(tmp_path)
    assert model.config.id2label == dict(enumerate(tagger.contract.tags))
    assert digest(get_state(model)) == digest(get_state(tagger.model))


def test_training_goes_on_from_a_saved_tagger_with_its_head(tagger: Tagger, tmp_path: Path) -> None:
    with torch.no_grad():
        tagger.model.classifier.bias.fill_(0.5)
    save_tagger(tagger, tmp_path, "")
    again = build_tagger(ModelConfig(name=str(tmp_path)), tagger.contract, seed=7)
    assert again.head_is_trained
    assert digest(get_state(again.model)) == digest(get_state(tagger.model))


@pytest.mark.parametrize("types", [("LOC", "PER"), ("PER", "ORG", "LOC")])
def test_a_head_for_other_labels_is_replaced(tagger: Tagger, tmp_path: Path, types: tuple[str, ...]) -> None:
    with torch.no_grad():
        tagger.model.classifier.bias.fill_(0.5)
    save_tagger(tagger, tmp_path, "")
    other = LabelContract("other", 1, tuple(EntityType(name) for name in types))
    rebuilt = build_tagger(ModelConfig(name=str(tmp_path)), other, seed=7)
    assert not rebuilt.head_is_trained
    assert not get_state(rebuilt.model)["classifier.bias"].any()
    assert rebuilt.model.config.id2label == dict(enumerate(other.tags))


def test_a_model_without_its_contract_is_refused_with_a_remedy(tagger: Tagger, tmp_path: Path) -> None:
    save_tagger(tagger, tmp_path, "")
    (tmp_path / "contract.yaml").unlink()
    with pytest.raises(InputError, match=r"contract\.yaml is missing.*write it"):
        load_tagger(tmp_path)


def test_a_model_whose_labels_are_not_its_contracts_is_refused(tagger: Tagger, tmp_path: Path) -> None:
    save_tagger(tagger, tmp_path, "")
    config = json.loads((tmp_path / "config.json").read_text())
    config["id2label"]["1"], config["id2label"]["3"] = "B-LOC", "B-PER"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(LabelError, match=r"not those of contract\.yaml"):
        load_tagger(tmp_path)


def test_pickled_weights_are_never_read(contract: LabelContract, encoder_directory: Path) -> None:
    (encoder_directory / "model.safetensors").unlink()
    torch.save({}, encoder_directory / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"no file named model\.safetensors"):
        build_tagger(ModelConfig(name=str(encoder_directory)), contract, 0)


def test_weights_of_another_architecture_are_refused(contract: LabelContract, encoder_directory: Path) -> None:
    RobertaModel(RobertaConfig(vocab_size=50, **SIZES)).save_pretrained(encoder_directory)
    config = json.loads((encoder_directory / "config.json").read_text())
    (encoder_directory / "config.json").write_text(json.dumps(config | {"model_type": "electra"}))
    with pytest.raises(InputError, match="tensors of the encoder"):
        build_tagger(ModelConfig(name=str(encoder_directory)), contract, 0)


@pytest.mark.parametrize("broken", ["config.json", "tokenizer.json"])
def test_a_damaged_model_directory_is_refused_in_plain_words(
    contract: LabelContract, encoder_directory: Path, broken: str
) -> None:
    (encoder_directory / broken).write_text("{")
    with pytest.raises(InputError, match="cannot be loaded as a token classifier"):
        build_tagger(ModelConfig(name=str(encoder_directory)), contract, 0)


def test_an_absent_directory_is_refused_without_asking_the_hub(contract: LabelContract) -> None:
    with pytest.raises(InputError, match=r"model\.name: no directory nowhere"):
        build_tagger(ModelConfig(name="./nowhere"), contract, 0)


def test_a_model_that_tags_no_tokens_is_refused(contract: LabelContract, encoder_directory: Path) -> None:
    (encoder_directory / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(InputError, match="cannot be loaded as a token classifier"):
        build_tagger(ModelConfig(name=str(encoder_directory)), contract, 0)


def test_a_window_longer_than_the_encoder_is_refused(contract: LabelContract, tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    small = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=32, **SIZES)
    BertModel(small).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"model\.max_length: .*32 positions, got 128"):
        build_tagger(ModelConfig(name=str(tmp_path)), contract, 0)
