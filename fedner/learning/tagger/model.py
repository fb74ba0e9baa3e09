"""The tagger: a BERT-family encoder with a token-classification head; built, saved, loaded.

Weights are read from safetensors only and no code that comes with a model is ever run.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from fedner.assets import ensure_model
from fedner.config import ModelConfig, Windowing
from fedner.config.learning import check_windowing
from fedner.data.corpus import Document
from fedner.data.encoding import Encoded, encode
from fedner.data.labels import LabelContract, read_contract, write_contract
from fedner.errors import ConfigError, InputError, LabelError
from fedner.learning.tagger.growing import grow_head, knows_first_tags
from fedner.learning.tagger.tensors import freeze, head, personal_names
from fedner.learning.tagger.tiny import tiny_model, tiny_tokenizer
from fedner.seeding import derive_seed

CONTRACT_FILE = "contract.yaml"
SETTINGS_FILE = "fedner.json"
_DROPOUT_KEYS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "classifier_dropout",
    "dropout",
    "attention_dropout",
    "seq_classif_dropout",
)
_GROWN_SEED = 0  # of the rows for new tags: a head that came with the model does not vary with the run seed
_TINY_ENCODER_SEED = 0  # one encoder for every run seed, as with a pre-trained one; only the head varies


@dataclass(eq=False)
class Tagger:
    """A model with everything that is needed to use it on text."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    contract: LabelContract
    windowing: Windowing = field(default_factory=Windowing)
    """How text is cut for it."""
    head_is_trained: bool = False
    """Whether the head came with the model rather than from the run seed."""
    personal: frozenset[str] = frozenset()
    """Names of the trained tensors that each site keeps for itself."""

    def encode(self, documents: Sequence[Document]) -> Encoded:
        """Return documents as this tagger reads them; raises as `encode`."""
        return encode(documents, self.tokenizer, self.contract, self.windowing)


def build_tagger(config: ModelConfig, contract: LabelContract, seed: int) -> Tagger:
    """Build the tagger that a run starts from; the seed decides the head, whatever the global generators hold.

    A directory that already holds a tagger for the same tags keeps its head; one for the first of the contract's types
    has it grown by the others (`growing`), the same for every seed.

    Raises:
        AssetError: the embedded model cannot be fetched.
        InputError: no such model, no fast tokenizer, no safetensors weights, or not an encoder that tags tokens.
    """
    if config.name == "tiny-random":
        tokenizer = tiny_tokenizer()
        dropout = 0.1 if config.dropout is None else config.dropout
        model: PreTrainedModel = tiny_model(len(tokenizer), _labels(contract), dropout, _TINY_ENCODER_SEED)
        keeps_head = False
    else:
        source = str(ensure_model()) if config.name == "minilm" else _source(config.name)
        with _plain_errors(config.name):
            model, keeps_head = _load_model(source, contract, config.revision, config.dropout, may_grow=True)
            tokenizer = _load_tokenizer(source, config.revision)
    _check_lengths(config.windowing, model, config.name)
    tokenizer.model_max_length = _positions(model)
    if not keeps_head:
        seed_head(model, seed)
    freeze(model, config.frozen)
    model.eval()
    personal = personal_names(model, config.personal)
    return Tagger(model, tokenizer, contract, config.windowing, keeps_head, personal)


def seed_head(model: PreTrainedModel, seed: int) -> None:
    """Draw the head anew from the run seed: matrices normal, vectors 0, as the encoder's own initialisation."""
    deviation = float(getattr(model.config, "initializer_range", 0.02))
    generator = torch.Generator().manual_seed(derive_seed(seed, "head"))
    with torch.no_grad():
        for _, parameter in head(model):
            fresh = torch.zeros(parameter.shape)
            if parameter.ndim > 1:
                fresh.normal_(0.0, deviation, generator=generator)
            parameter.copy_(fresh)


def save_tagger(tagger: Tagger, directory: str | Path, card: str) -> None:
    """Write a Hugging Face directory that `AutoModelForTokenClassification` and `load_tagger` read.

    Args:
        card: the model card, Markdown: what it was trained on and how it was scored.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    with _quiet():
        tagger.model.save_pretrained(folder)
        tagger.tokenizer.save_pretrained(folder)
    write_contract(tagger.contract, folder / CONTRACT_FILE)
    (folder / SETTINGS_FILE).write_text(json.dumps(asdict(tagger.windowing), indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")


def load_tagger(directory: str | Path) -> Tagger:
    """Read what `save_tagger` wrote.

    Raises:
        InputError: a file is missing or unreadable.
        LabelError: the model's labels are not those of its contract.
    """
    folder = Path(directory)
    contract = model_contract(folder)
    windowing = _read_windowing(folder / SETTINGS_FILE)
    with _plain_errors(str(folder)):
        tokenizer = _load_tokenizer(str(folder), None)
        model, keeps_head = _load_model(str(folder), contract)
    if not keeps_head:
        raise LabelError(f"{folder}: the labels in config.json are not those of {CONTRACT_FILE}; restore the pair")
    _check_lengths(windowing, model, str(folder))
    model.eval()
    return Tagger(model, tokenizer, contract, windowing, head_is_trained=True)


def model_contract(directory: str | Path) -> LabelContract:
    """Read the label contract of a saved tagger, which loads no weights; raises as `load_tagger`."""
    folder = Path(directory)
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a directory with a trained model, got none")
    if not (folder / CONTRACT_FILE).is_file():
        raise InputError(
            f"{folder}: {CONTRACT_FILE} is missing, so the meaning of the model's labels is unknown; write it (name, "
            "version, types in the order of the model's id2label), or take the `model` folder of a run"
        )
    return read_contract(folder / CONTRACT_FILE)


def word_embedding(model: PreTrainedModel) -> nn.Embedding | None:
    """Return the embedding of word pieces where it is a plain one."""
    embedding = model.get_input_embeddings()
    return embedding if type(embedding) is nn.Embedding else None


def _labels(contract: LabelContract) -> dict[int, str]:
    return dict(enumerate(contract.tags))


def _source(name: str) -> str:
    """Return a directory or hub name; a name that can only be a directory is never asked of the hub."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return str(folder)
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise InputError(f"model.name: no directory {folder}; expected one with config.json and model.safetensors")
    return name


def _read_windowing(path: Path) -> Windowing:
    """Return how text was cut for a saved tagger."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        context_words = int(settings.get("context_words", 0))  # older models have none
        windowing = Windowing(int(settings["max_length"]), int(settings["overlap_words"]), context_words)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: expected a JSON object with max_length and overlap_words; {error!r}") from error
    check_windowing(windowing)
    return windowing


def _load_tokenizer(source: str, revision: str | None) -> PreTrainedTokenizerFast:
    arguments: dict[str, Any] = {"revision": revision, "trust_remote_code": False, "use_fast": True}
    tokenizer = AutoTokenizer.from_pretrained(source, **arguments)
    if getattr(tokenizer, "add_prefix_space", True) is False:  # byte-level vocabularies take words only with it
        tokenizer = AutoTokenizer.from_pretrained(source, add_prefix_space=True, **arguments)
    if not getattr(tokenizer, "is_fast", False):
        raise InputError(
            f"model '{source}': expected a fast tokenizer (tokenizer.json), got only {type(tokenizer).__name__}; "
            "convert it, or take a model that has one"
        )
    return cast(PreTrainedTokenizerFast, tokenizer)


def _load_model(
    source: str,
    contract: LabelContract,
    revision: str | None = None,
    dropout: float | None = None,
    may_grow: bool = False,
) -> tuple[PreTrainedModel, bool]:
    """Return the model, and whether its head was trained for the same tags, or for the first of them if it may grow."""
    hf_config = cast(PretrainedConfig, AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False))
    labels = _labels(contract)
    trained_to_tag = any(name.endswith("ForTokenClassification") for name in hf_config.architectures or [])
    same_labels = hf_config.id2label == labels
    grows = may_grow and trained_to_tag and knows_first_tags(hf_config.id2label or {}, contract)
    if not grows:
        hf_config.id2label = labels
        hf_config.label2id = dict(contract.tag_ids)
    if dropout is not None:
        for key in _DROPOUT_KEYS:
            if getattr(hf_config, key, None) is not None:
                setattr(hf_config, key, dropout)
    # Tensors that a file lacks are drawn from the global generator before we draw them ourselves.
    with _quiet(), torch.random.fork_rng(devices=[]):
        model, report = AutoModelForTokenClassification.from_pretrained(
            source,
            config=hf_config,
            revision=revision,
            dtype=torch.float32,
            trust_remote_code=False,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # a head for other labels; the encoder is checked below
            output_loading_info=True,
        )
    absent = set(report["missing_keys"]) | {entry[0] for entry in report["mismatched_keys"]}
    lost = absent - {name for name, _ in head(model)}
    if lost:
        raise InputError(
            f"model '{source}': its weights lack {len(lost)} tensors of the encoder, such as '{min(lost)}'; "
            "the files are incomplete or of another architecture"
        )
    if grows:
        grow_head(model, contract, _GROWN_SEED)
    return model, trained_to_tag and (same_labels or grows) and not absent


def _positions(model: PreTrainedModel) -> int:
    """Return how many pieces the encoder can place; RoBERTa's kind reserves those up to the padding id."""
    positions = int(getattr(model.config, "max_position_embeddings", 0) or 512)
    shifted = getattr(model.config, "model_type", "") in {"roberta", "xlm-roberta", "camembert"}
    return positions - (int(model.config.pad_token_id or 0) + 1 if shifted else 0)


def _check_lengths(windowing: Windowing, model: PreTrainedModel, name: str) -> None:
    positions = _positions(model)
    if windowing.max_length > positions:
        raise ConfigError(f"model.max_length: model '{name}' has {positions} positions, got {windowing.max_length}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back the library's remarks about fresh heads and its progress bars, and only meanwhile."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


@contextmanager
def _plain_errors(name: str) -> Iterator[None]:
    """Turn the library's errors into one that names the remedy."""
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"model '{name}': cannot be loaded as a token classifier ({reason}); expected `minilm`, `tiny-random`, a "
            "directory with config.json, tokenizer.json and model.safetensors, or the hub name of a BERT-family "
            "encoder with safetensors weights"
        ) from error
