"""The local loop: one function for all three arms. A model, encoded text and a typed config in; sums out.

AdamW (Loshchilov & Hutter 2019) with the learning rate as a function of the progress of the whole run, and optionally
the proximal term of FedProx (Li et al. 2020). The same arguments give the same bytes on a CPU: order and dropout come
from the run seed, the number of threads is set, and the process's own generators and settings are left as they were.
`torch.use_deterministic_algorithms` is left alone: the CPU kernels used here are deterministic for a given number of
threads, which the tests hold, and the switch would fill every fresh buffer.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fedner.config import OptimizerState, Precision, Schedule, TrainingConfig
from fedner.data.encoding import Encoded
from fedner.errors import RunError
from fedner.learning.batches import PACKED, Indices, collate, num_batches, pack, training_order
from fedner.learning.device import autocast, cpu_threads, prepare_model, resolve_device, resolve_precision, seeded
from fedner.learning.model import Tagger, word_embedding
from fedner.learning.vocabulary import UsedRows, only_rows, used_rows
from fedner.seeding import derive_seed

Progress = Callable[[int, int], None]
"""Called with (steps done, steps of this round)."""

_MOMENTS = ("exp_avg", "exp_avg_sq")
_NUMBERS = ("position", "rounds", "optimizer_steps")
_MASK_DTYPES = {Precision.fp32: torch.float32, Precision.bf16: torch.bfloat16, Precision.fp16: torch.float16}
_STEPS_PER_LOSS_CHECK = 20  # reading the loss waits for a GPU; not after every step


@dataclass(frozen=True)
class TrainingMemory:
    """What a site remembers from one round to the next."""

    position: int = 0
    """Batches taken from the epoch stream so far."""
    rounds: int = 0
    """Rounds this site has trained in."""
    optimizer_steps: int = 0
    """AdamW's step count behind the moments; 0 where they were reset."""
    moments: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """`exp_avg/<parameter>` and `exp_avg_sq/<parameter>`; empty where they were reset."""

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return all of it as named arrays, for a checkpoint or a message."""
        numbers = {name: np.array(getattr(self, name), dtype=np.int64) for name in _NUMBERS}
        return {**numbers, **self.moments}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "TrainingMemory":
        """Read what `to_arrays` returned."""
        numbers = {name: int(arrays[name]) for name in _NUMBERS}
        moments = {name: np.asarray(array, np.float32) for name, array in arrays.items() if name not in _NUMBERS}
        return cls(moments=moments, **numbers)


@dataclass(frozen=True)
class FitResult:
    """Sums over one round at one site."""

    loss_sum: float
    """Cross-entropy in nats, summed over words."""
    num_tokens: int
    """Word pieces seen, special tokens included, padding not."""
    num_examples: int
    """Sentences seen."""
    num_words: int
    """Words trained on."""
    steps: int
    """Optimizer steps taken."""
    seconds: float
    memory: TrainingMemory


@dataclass(eq=False)
class _Round:
    """What the steps of one round share."""

    tagger: Tagger
    encoded: Encoded
    config: TrainingConfig
    device: torch.device
    precision: Precision
    used: UsedRows | None
    optimizer: torch.optim.AdamW
    scaler: torch.amp.GradScaler
    parameters: list[nn.Parameter]
    anchors: list[Tensor]
    """The weights at the start of the round, for FedProx; empty without it."""


def fit(
    tagger: Tagger,
    encoded: Encoded,
    config: TrainingConfig,
    *,
    seed: int,
    site: str,
    round_number: int,
    rounds: int,
    memory: TrainingMemory | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Train the tagger in place for one round.

    Args:
        site: name that, with the seed, decides order and dropout; the centralized arm has one too.
        round_number: 1 to `rounds`; decides dropout and the place in the learning-rate schedule.
        memory: what the last round's result returned, at any earlier round; None starts afresh.

    Raises:
        RunError: the shard has no sentences, or the loss is not finite.
        ConfigError: the device or precision is not to be had here.
    """
    if encoded.num_windows == 0:
        raise RunError(f"training: site '{site}' has no sentences; give it text or leave it out")
    started = time.perf_counter()
    memory = memory or TrainingMemory()
    if config.optimizer_state == OptimizerState.reset:
        memory = replace(memory, moments={}, optimizer_steps=0)
    device = resolve_device(config.device)
    batches = _batches(encoded, config, memory, seed, site)
    prepare_model(tagger.model, device, tagger.max_length)
    with cpu_threads(config.threads), seeded(derive_seed(seed, "dropout", round_number, site), device):
        tagger.model.train()
        try:
            with only_rows(tagger.model, _rows(tagger, encoded, config, memory)) as used:
                state = _prepare(tagger, encoded, config, used, memory)
                loss_sum = _run_steps(state, batches, (round_number, rounds), site, progress)
                memory = _remember(state, memory, len(batches))
        finally:
            tagger.model.eval()
    return _sums(encoded, config, batches, loss_sum, time.perf_counter() - started, memory)


def _sums(
    encoded: Encoded,
    config: TrainingConfig,
    batches: list[Indices],
    loss_sum: float,
    seconds: float,
    memory: TrainingMemory,
) -> FitResult:
    windows = np.concatenate(batches)
    return FitResult(
        loss_sum=loss_sum,
        num_tokens=int(encoded.lengths[windows].sum()),
        num_examples=int(encoded.first_windows[windows].sum()),
        num_words=int(np.diff(encoded.word_starts)[windows].sum()),
        steps=_num_steps(len(batches), config),
        seconds=seconds,
        memory=memory,
    )


def learning_rate(config: TrainingConfig, progress: float) -> float:
    """Return the learning rate at a share of the whole run, in [0, 1]."""
    if progress < config.warmup:
        return config.lr * progress / config.warmup
    if config.schedule == Schedule.constant:
        return config.lr
    return config.lr * (1 - progress) / (1 - config.warmup)


def _batches(encoded: Encoded, config: TrainingConfig, memory: TrainingMemory, seed: int, site: str) -> list[Indices]:
    """Return this round's batches: the epoch stream from where the last round stopped."""
    per_epoch = num_batches(encoded, config.batch_size)
    if config.steps is not None:
        wanted = config.steps * config.gradient_accumulation
    else:  # counted from the first round, so that fractions of a batch are not lost round by round
        wanted = max(1, math.floor((memory.rounds + 1) * config.epochs * per_epoch + 0.5) - memory.position)
    batches: list[Indices] = []
    epoch, skipped = divmod(memory.position, per_epoch)
    while len(batches) < wanted:
        order = training_order(encoded, config.batch_size, seed, epoch, site)
        batches += order[skipped : skipped + wanted - len(batches)]
        epoch, skipped = epoch + 1, 0
    return batches


def _rows(tagger: Tagger, encoded: Encoded, config: TrainingConfig, memory: TrainingMemory) -> NDArray[np.int64]:
    """Return the rows of the word embedding that this round can change beyond weight decay."""
    embedding = word_embedding(tagger.model)
    if embedding is None:
        return np.empty(0, np.int64)
    if config.prox_mu > 0 and config.weight_decay > 0:  # decay moves every row, and the proximal term pulls it back
        return np.arange(embedding.num_embeddings)
    full = embedding.weight
    keys = [f"{moment}/{name}" for name, p in tagger.model.named_parameters() if p is full for moment in _MOMENTS]
    return used_rows(encoded, *(memory.moments[key] for key in keys if key in memory.moments))


def _prepare(
    tagger: Tagger,
    encoded: Encoded,
    config: TrainingConfig,
    used: UsedRows | None,
    memory: TrainingMemory,
) -> _Round:
    """Build the optimizer, with the moments in memory if there are any."""
    device = tagger.model.device
    precision = resolve_precision(config.precision, device)
    named = [(name, p) for name, p in tagger.model.named_parameters() if p.requires_grad]
    decayed = [p for _, p in named if p.ndim > 1]
    spared = [p for _, p in named if p.ndim <= 1]  # biases and LayerNorm
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": spared, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        fused=device.type in ("cpu", "cuda", "mps"),
    )
    for name, parameter in named:
        if memory.moments:
            _restore(optimizer, name, parameter, used, memory)
    anchors = [p.detach().clone() for _, p in named] if config.prox_mu > 0 else []
    scaler = torch.amp.GradScaler(device.type, enabled=precision == Precision.fp16)
    return _Round(tagger, encoded, config, device, precision, used, optimizer, scaler, [p for _, p in named], anchors)


def _restore(
    optimizer: torch.optim.AdamW, name: str, parameter: nn.Parameter, used: UsedRows | None, memory: TrainingMemory
) -> None:
    """Give the optimizer copies of one parameter's moments."""
    moments: dict[str, Tensor] = {}
    for moment in _MOMENTS:
        array = memory.moments.get(f"{moment}/{name}")
        if array is None:
            raise RunError(f"training memory: moments of '{name}' are missing; it belongs to another model")
        if used is not None and used.name == name:
            array = array[used.rows]
        if array.shape != tuple(parameter.shape):
            raise RunError(
                f"training memory: moments of '{name}' wanted shape {list(parameter.shape)}, "
                f"found {list(array.shape)}; it belongs to another model"
            )
        moments[moment] = torch.from_numpy(np.array(array)).to(parameter.device)
    step = torch.tensor(float(memory.optimizer_steps), device=parameter.device)
    optimizer.state[parameter] = {"step": step, **moments}


def _num_steps(num_taken: int, config: TrainingConfig) -> int:
    return -(-num_taken // config.gradient_accumulation)


def _remember(state: _Round, memory: TrainingMemory, num_taken: int) -> TrainingMemory:
    """Return the memory after the round."""
    moments: dict[str, NDArray[np.float32]] = {}
    if state.config.optimizer_state == OptimizerState.keep:
        for name, parameter in state.tagger.model.named_parameters():
            for moment in _MOMENTS if parameter.requires_grad else ():
                # The optimizer is about to be dropped, so its arrays may be handed out as they are.
                array = state.optimizer.state[parameter][moment].cpu().numpy()
                if state.used is not None and state.used.name == name:
                    compact, array = array, np.zeros((len(state.used.compact_ids), array.shape[1]), np.float32)
                    array[state.used.rows] = compact
                moments[f"{moment}/{name}"] = array
    return TrainingMemory(
        position=memory.position + num_taken,
        rounds=memory.rounds + 1,
        optimizer_steps=memory.optimizer_steps + _num_steps(num_taken, state.config) if moments else 0,
        moments=moments,
    )


def _run_steps(
    state: _Round, batches: list[Indices], place: tuple[int, int], site: str, progress: Progress | None
) -> float:
    """Take all steps of the round; return the loss summed over words.

    Args:
        place: (round number, rounds).
    """
    groups = list(_grouped(batches, state.config.gradient_accumulation))
    round_number, rounds = place
    loss_sum = 0.0
    pending: list[Tensor] = []
    for index, group in enumerate(groups):
        done = (round_number - 1 + (index + 0.5) / len(groups)) / rounds  # the middle of a step, so never 0
        pending += _step(state, group, learning_rate(state.config, done))
        if (index + 1) % _STEPS_PER_LOSS_CHECK == 0 or index + 1 == len(groups):
            loss_sum += float(torch.stack(pending).double().cpu().sum() if state.device.type != "mps" else sum(pending))
            pending.clear()
            if not math.isfinite(loss_sum):
                raise RunError(
                    f"training: the loss of site '{site}' is not finite in round {round_number}; "
                    "lower training.lr, or set training.precision=fp32"
                )
        if progress is not None:
            progress(index + 1, len(groups))
    return loss_sum


def _grouped(batches: list[Indices], size: int) -> Iterator[list[Indices]]:
    for at in range(0, len(batches), size):
        yield batches[at : at + size]


def _step(state: _Round, group: list[Indices], lr: float) -> list[Tensor]:
    """Take one optimizer step on the joined batches of a group; return their losses summed over words.

    The sum over words is divided by the words that so many windows have on average. Windows of a batch are of similar
    length; divided by its own words, a batch of three-word sentences would give each of them ten times the weight of a
    word in a batch of long ones.
    """
    num_windows = sum(len(windows) for windows in group)
    num_words = num_windows * state.encoded.num_words / state.encoded.num_windows
    losses: list[Tensor] = []
    for windows in group:
        loss = batch_loss(state, windows)
        state.scaler.scale(loss / num_words).backward()
        losses.append(loss.detach())
    config = state.config
    if state.anchors or config.max_grad_norm is not None:
        state.scaler.unscale_(state.optimizer)
    if state.anchors:
        _pull_back(state, config.prox_mu)
    if config.max_grad_norm is not None:
        torch.nn.utils.clip_grad_norm_(state.parameters, config.max_grad_norm, foreach=True)
    for settings in state.optimizer.param_groups:
        settings["lr"] = lr
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.optimizer.zero_grad(set_to_none=True)
    if state.used is not None:
        state.used.shrink *= 1 - lr * config.weight_decay
    return losses


def batch_loss(state: _Round, windows: Indices) -> Tensor:
    """Return the cross-entropy of one batch, summed over its words."""
    if state.tagger.model.config.model_type in PACKED:
        batch = pack(state.encoded, windows, state.device, _MASK_DTYPES[state.precision])
    else:
        batch = collate(state.encoded, windows, state.device)
    input_ids = batch.input_ids if state.used is None else state.used.compact_ids[batch.input_ids]
    with autocast(state.device, state.precision):
        places = {} if batch.position_ids is None else {"position_ids": batch.position_ids}
        logits = state.tagger.model(input_ids=input_ids, attention_mask=batch.mask, **places).logits
    words = logits.flatten(0, 1).index_select(0, batch.positions).float()
    return nn.functional.cross_entropy(words, batch.targets, reduction="sum")


def _pull_back(state: _Round, mu: float) -> None:
    """Add the gradient of mu/2 ||w - w_round||^2."""
    pairs = [(p, a) for p, a in zip(state.parameters, state.anchors, strict=True) if p.grad is not None]
    gradients = [p.grad for p, _ in pairs if p.grad is not None]
    weights = [p.detach() for p, _ in pairs]
    distances = torch._foreach_sub(weights, [a for _, a in pairs])  # pyright: ignore[reportPrivateImportUsage]
    torch._foreach_add_(gradients, distances, alpha=mu)  # pyright: ignore[reportPrivateImportUsage]
