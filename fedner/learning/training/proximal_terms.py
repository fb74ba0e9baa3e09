"""Terms that hold a site's training near the federation's: FedProx, SCAFFOLD, FedDyn. They change gradients only.

With w the weights, x their values at the start of the round and g the gradient of a batch, a step is taken along

    FedProx    g + mu (w - x)            Li et al. 2020, Federated Optimization in Heterogeneous Networks
    SCAFFOLD   g + c - c_i               Karimireddy et al. 2020, SCAFFOLD, algorithm 1
    FedDyn     g + alpha (w - x) - h_i   Acar et al. 2021, Federated Learning Based on Dynamic Regularization

c is the server's control variate, c_i and h_i are the site's own and stay there. After a round SCAFFOLD's c_i becomes
the mean of the round's gradients g. With SGD that is the paper's option II, c_i - c + (x - w) / (K lr), whose last term
is the mean of g + c - c_i. Expressed in gradients it holds for AdamW as well, whose steps are no multiple of gradients.
FedDyn's h_i becomes h_i - alpha (w - x). Where gradients are clipped, SCAFFOLD's g is the clipped one, so that no c_i
is longer than training.max_grad_norm and the server can hold sites to that; without it, clipping comes after the terms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fedner.config import TrainingConfig
from fedner.errors import RunError
from fedner.learning.training.memory import CONTROL, Remembered
from fedner.learning.training.vocabulary import UsedRows
from fedner.tensors import State

Named = Sequence[tuple[str, nn.Parameter]]
"""Parameters as they are trained: of the word embedding perhaps only the rows that take part."""

_add = torch._foreach_add_  # pyright: ignore[reportPrivateImportUsage]
_subtract = torch._foreach_sub  # pyright: ignore[reportPrivateImportUsage]
_norms = torch._foreach_norm  # pyright: ignore[reportPrivateImportUsage]


@dataclass(eq=False)
class Drift:
    """The terms of one round, tensors in the order of the parameters; empty lists for terms that are off."""

    names: list[str]
    parameters: list[nn.Parameter]
    pull: float
    """mu or alpha."""
    anchors: list[Tensor]
    """x."""
    own: list[Tensor]
    """c_i or h_i, from before the round."""
    shift: list[Tensor]
    """c - c_i or -h_i."""
    gradient_sums: list[Tensor]
    """Sums of g over the steps of the round, for SCAFFOLD."""
    num_steps: int = 0

    @property
    def active(self) -> bool:
        """Whether gradients are changed or recorded."""
        return bool(self.anchors or self.shift)

    def steer(self) -> None:
        """Add the terms to the current gradients."""
        if self.gradient_sums:
            self._collect()
        if self.shift:
            self._add_to_gradients(self.shift, 1.0)
        if self.anchors:
            self._add_to_gradients(self._distances(), self.pull)

    def next_own(self) -> list[Tensor]:
        """Return c_i or h_i after the round, in the order of the parameters; empty without such a term."""
        if self.gradient_sums:
            return [total / max(self.num_steps, 1) for total in self.gradient_sums]
        return [h - self.pull * moved for h, moved in zip(self.own, self._distances(), strict=True)] if self.own else []

    def to_memory(self) -> dict[str, NDArray[np.float32]]:
        """Return the site's own term after the round as entries of its memory."""
        return {
            f"{CONTROL}/{name}": value.cpu().numpy() for name, value in zip(self.names, self.next_own(), strict=False)
        }

    def change(self, server: State, after: Mapping[str, NDArray[np.float32]], used: UsedRows | None) -> State:
        """Return the change of SCAFFOLD's c_i over the round, in the shapes of c.

        Args:
            server: c.
            after: the memory after the round.
        """
        change: State = {name: np.zeros_like(array) for name, array in server.items()}
        for name, before in zip(self.names, self.own, strict=True):
            rows = used.rows if used is not None and name == used.name else ...
            change[name][rows] = after[f"{CONTROL}/{name}"] - before.cpu().numpy()
        return change

    def _distances(self) -> tuple[Tensor, ...]:
        return _subtract([parameter.detach() for parameter in self.parameters], self.anchors)

    def _collect(self) -> None:
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        # A half-precision step whose gradients overflowed is not taken, and must not count here either.
        if bool(torch.isfinite(torch.stack(_norms(gradients))).all()):
            _add(self.gradient_sums, gradients)
            self.num_steps += 1

    def _add_to_gradients(self, terms: Sequence[Tensor], factor: float) -> None:
        pairs = [(p.grad, term) for p, term in zip(self.parameters, terms, strict=True) if p.grad is not None]
        _add([gradient for gradient, _ in pairs], [term for _, term in pairs], alpha=factor)


def begin(named: Named, config: TrainingConfig, server: State | None, known: Remembered) -> Drift:
    """Return the terms of a round.

    Args:
        named: trained parameters.
        config: which terms, and their weights.
        server: SCAFFOLD's c, by name of the whole model's tensors.
        known: the site's memory; in its first round its own term is zero.

    Raises:
        RunError: SCAFFOLD without the server's c, or c is of another model.
    """
    parameters = [parameter for _, parameter in named]
    own = _own(named, known) if config.scaffold or config.dyn_alpha > 0 else []
    pull = config.prox_mu or config.dyn_alpha
    return Drift(
        names=[name for name, _ in named],
        parameters=parameters,
        pull=pull,
        anchors=[parameter.detach().clone() for parameter in parameters] if pull > 0 else [],
        own=own,
        shift=list(_subtract(_servers(named, server, known.used), own)) if config.scaffold else [-h for h in own],
        gradient_sums=[torch.zeros_like(parameter) for parameter in parameters] if config.scaffold else [],
    )


def _own(named: Named, known: Remembered) -> list[Tensor]:
    control = known.memory.control
    if not control:
        return [torch.zeros_like(parameter) for _, parameter in named]
    return [known.tensor(control, CONTROL, name, parameter) for name, parameter in named]


def _servers(named: Named, server: State | None, used: UsedRows | None) -> list[Tensor]:
    if server is None:
        raise RunError("training: training.scaffold needs the federation's control variate, got none")
    found: list[Tensor] = []
    for name, parameter in named:
        array = server.get(name, np.empty(0, np.float32))
        if used is not None and name == used.name and len(array) == len(used.compact_ids):
            array = array[used.rows]
        if array.shape != tuple(parameter.shape):
            raise RunError(f"training: the federation's control variate of '{name}' is of another model")
        found.append(torch.from_numpy(np.array(array)).to(parameter.device))
    return found
