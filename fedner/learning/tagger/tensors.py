"""A model's tensors as a `State`: the one place that decides which are trained, which travel and which stay at a site.

All trained parameters and float buffers travel, but for those declared personal: FedBN (Li et al. 2021, FedBN:
Federated Learning on Non-IID Features via Local Batch Normalization) keeps normalisation layers at the sites, FedPer
(Arivazhagan et al. 2019, Federated Learning with Personalization Layers) the head.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from fedner.errors import ConfigError, StateError
from fedner.tensors import State


def travelling_names(model: nn.Module) -> list[str]:
    """Return the names of the tensors that training changes: trained parameters, then float buffers."""
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    kept = model.state_dict().keys()
    return trained + [name for name, b in model.named_buffers() if b.is_floating_point() and name in kept]


def get_state(model: nn.Module, without: Collection[str] = (), copy: bool = True) -> State:
    """Return the travelling tensors as float32 arrays, which do not alias the live weights.

    Args:
        without: names of personal tensors to leave out.
        copy: False may return the live weights themselves, for a caller that serialises them before anything else.
    """
    return {
        name: tensor.detach().to("cpu", torch.float32, copy=copy).contiguous().numpy()
        for name, tensor in _travelling(model, without).items()
    }


def set_state(model: nn.Module, state: Mapping[str, np.ndarray], without: Collection[str] = ()) -> None:
    """Overwrite the travelling tensors; everything is checked before anything is written.

    Args:
        without: names of personal tensors, which are left as they are.
    Raises:
        StateError: a name is missing or foreign, or a tensor has another shape or dtype; it is named.
    """
    tensors = _travelling(model, without)
    missing = [name for name in tensors if name not in state]
    foreign = [name for name in state if name not in tensors]
    if missing or foreign:
        raise StateError(
            f"state: tensor names differ from the model's; missing {missing[:3]}, not in the model {foreign[:3]}; "
            "server and sites need the same model and the same model.frozen"
        )
    for name, tensor in tensors.items():
        array = state[name]
        if array.dtype != np.float32 or array.shape != tuple(tensor.shape):
            raise StateError(
                f"state: tensor '{name}' expected float32{list(tensor.shape)}, got {array.dtype}{list(array.shape)}"
            )
    with torch.no_grad():
        for name, tensor in tensors.items():
            array = state[name]
            # torch.from_numpy warns about read-only arrays, which is what arrives from a message.
            if tensor.device.type == "cpu" and tensor.dtype == torch.float32:
                np.copyto(tensor.detach().numpy(), array)
            else:
                tensor.copy_(torch.from_numpy(np.array(array)))


def freeze(model: PreTrainedModel, prefixes: Sequence[str]) -> None:
    """Exclude parameters from training and travel.

    Raises:
        ConfigError: a prefix names nothing, or the head, which starts random and would differ from site to site.
    """
    for prefix in prefixes:
        stem = prefix.rstrip(".")
        named = [p for name, p in model.named_parameters() if name == stem or name.startswith(stem + ".")]
        if not named:
            tops = sorted({".".join(name.split(".")[:2]) for name, _ in model.named_parameters()})
            raise ConfigError(f"model.frozen: no parameter is below {prefix!r}; the model has {', '.join(tops)}")
        for parameter in named:
            parameter.requires_grad_(False)
    if not all(parameter.requires_grad for _, parameter in head(model)):
        raise ConfigError(f"model.frozen: {', '.join(prefixes)} takes in the head, which starts random; leave it out")


def personal_names(model: PreTrainedModel, patterns: Sequence[str]) -> frozenset[str]:
    """Return the names of the tensors that a site keeps for itself.

    Args:
        patterns: names of tensors, or what is before a dot in them; `*` stands for anything.

    Raises:
        ConfigError: a pattern fits no tensor that is trained, or nothing is left that travels.
    """
    names = travelling_names(model)
    found: set[str] = set()
    for pattern in patterns:
        fitting = {name for name in names if fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")}
        if not fitting:
            raise ConfigError(f"model.personal: {pattern!r} fits no trained tensor; one is named '{names[-1]}'")
        found |= fitting
    if len(found) == len(names):
        raise ConfigError(f"model.personal: {', '.join(patterns)} takes in every trained tensor, so none would travel")
    return frozenset(found)


def personal_state(model: nn.Module, personal: Collection[str]) -> State:
    """Return copies of the personal tensors."""
    return get_state(model, without=[name for name in travelling_names(model) if name not in personal])


def set_personal(model: nn.Module, state: State, personal: Collection[str]) -> None:
    """Overwrite the personal tensors.

    Raises:
        StateError: as `set_state`.
    """
    set_state(model, state, without=[name for name in travelling_names(model) if name not in personal])


def head(model: PreTrainedModel) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the parameters outside the encoder, in order."""
    prefix = model.base_model_prefix + "."
    for name, parameter in model.named_parameters():
        if not name.startswith(prefix):
            yield name, parameter


def _travelling(model: nn.Module, without: Collection[str]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: tensors[name] for name in travelling_names(model) if name not in without}
