"""A head for more types than it was trained for: the rows of the tags it knows are kept, bit for bit."""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn
from transformers import PreTrainedModel

from fedner.data.labels import LabelContract
from fedner.errors import LabelError
from fedner.seeding import derive_seed


def knows_first_tags(labels: Mapping[Any, str], contract: LabelContract) -> bool:
    """Return whether a model's labels are the first tags of a contract, and not all of them."""
    return 0 < len(labels) < len(contract.tags) and dict(labels) == dict(enumerate(contract.tags[: len(labels)]))


def grow_head(model: PreTrainedModel, contract: LabelContract, seed: int) -> None:
    """Give a model's output layer rows for the tags that the contract has beyond the model's own.

    Old tags keep their ids, rows and logits. New rows are drawn as a fresh head's, with bias 0.

    Raises:
        LabelError: the model's labels are not the first tags of the contract, or it has no plain output layer.
    """
    labels = {int(key): str(name) for key, name in (model.config.id2label or {}).items()}
    if not knows_first_tags(labels, contract):
        raise LabelError(
            f"model: its labels {', '.join(labels.values())} are not the first tags of contract '{contract.name}' "
            f"({', '.join(contract.tags)}); keep old types first and in their order"
        )
    name, layer = _output_layer(model, len(labels))
    # Without the layer's own initialisation, which would draw from the global generator.
    made = nn.utils.skip_init(nn.Linear, layer.in_features, len(contract.tags), layer.bias is not None)
    fresh = cast(nn.Linear, made)
    fresh.to(layer.weight.device, layer.weight.dtype)
    deviation = float(getattr(model.config, "initializer_range", 0.02))
    generator = torch.Generator().manual_seed(derive_seed(seed, "grown head"))
    with torch.no_grad():
        fresh.weight.copy_(torch.zeros(fresh.weight.shape).normal_(0.0, deviation, generator=generator))
        fresh.weight[: len(labels)] = layer.weight
        if layer.bias is not None:
            fresh.bias.zero_()
            fresh.bias[: len(labels)] = layer.bias
    fresh.requires_grad_(layer.weight.requires_grad)
    model.set_submodule(name, fresh)
    model.config.id2label = dict(enumerate(contract.tags))
    model.config.label2id = dict(contract.tag_ids)
    if hasattr(model, "num_labels"):
        model.num_labels = len(contract.tags)  # pyright: ignore[reportArgumentType]


def _output_layer(model: PreTrainedModel, num_tags: int) -> tuple[str, nn.Linear]:
    """Return the layer outside the encoder that gives one number a tag."""
    found = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and module.out_features == num_tags
        and not name.startswith(f"{model.base_model_prefix}.")
    ]
    if len(found) != 1:
        raise LabelError(f"model: expected one output layer of {num_tags} tags, got {len(found)}; its head cannot grow")
    return found[0]
