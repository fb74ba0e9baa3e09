"""The local loop: one function for all three arms. A model, encoded text and a typed config in; sums out.

AdamW (Loshchilov & Hutter 2019) with the learning rate as a function of the progress of the whole run, and optionally
terms against drifting away from the federation (`drift`). The same arguments give the same bytes on a CPU: order and
dropout come from the run seed, the number of threads is set, and the process's own generators and settings are left as
they were. `torch.use_deterministic_algorithms` is left alone: the CPU kernels used here are deterministic for a given
number of threads, which the tests hold, and the switch would fill every fresh buffer.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fedner.config import OptimizerState, Precision, Schedule, TrainingConfig
from fedner.data.encoding import Encoded
from fedner.errors import RunError
from fedner.learning.batches import PACKED, Indices, collate, num_batches, pack, training_order
from fedner.learning.device import autocast, cpu_threads, prepare_model, resolve_device, resolve_precision, seeded
from fedner.learning.inference import log_probabilities
from fedner.learning.memory import CONTROL, MOMENTS, Remembered, TrainingMemory
from fedner.learning.model import Tagger, word_embedding
from fedner.learning.partial import Unannotated, batch_words_loss, unannotated
from fedner.learning.proximal_terms import Drift, begin
from fedner.learning.vocabulary import UsedRows, embedding_name, only_rows, used_rows
from fedner.seeding import derive_seed
from fedner.tensors import State

Progress = Callable[[int, int], None]
"""Called with (steps done, steps of this round)."""

_MASK_DTYPES = {Precision.fp32: torch.float32, Precision.bf16: torch.bfloat16, Precision.fp16: torch.float16}
_STEPS_PER_LOSS_CHECK = 20  # reading the loss waits for a GPU; not after every step


@dataclass(frozen=True)
class FitResult:
    """Sums over one round at one site."""

    loss_sum: float
    """In nats, summed over words: cross-entropy, or `partial`'s loss where types were not annotated."""
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
    control_change: State | None = None
    """With SCAFFOLD, what this round adds to the site's control variate, in the shapes of the federation's."""


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
    named: list[tuple[str, nn.Parameter]]
    """What is trained; of the word embedding perhaps only the rows that take part."""
    drift: Drift
    open_tags: Unannotated | None
    """What an O may hide, where types were not annotated."""


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
    control: State | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Train the tagger in place for one round.

    Args:
        site: name that, with the seed, decides order and dropout; the centralized arm has one too.
        round_number: 1 to `rounds`; decides dropout and the place in the learning-rate schedule.
        memory: what the last round's result returned, at any earlier round; None starts afresh.
        control: the federation's control variate, for SCAFFOLD.

    Raises:
        RunError: the shard has no sentences, the loss is not finite, or memory or control is of another model.
        ConfigError: the device or precision is not to be had here.
    """
    if encoded.num_windows == 0:
        raise RunError(f"training: site '{site}' has no sentences; give it text or leave it out")
    started = time.perf_counter()
    memory = _recalled(memory or TrainingMemory(), config)
    device = resolve_device(config.device)
    batches = _batches(encoded, config, memory, seed, site)
    prepare_model(tagger.model, device, tagger.max_length)
    change: State | None = None
    open_tags = _open_tags(tagger, encoded, config, batches)
    with cpu_threads(config.threads), seeded(derive_seed(seed, "dropout", round_number, site), device):
        tagger.model.train()
        try:
            with only_rows(tagger.model, _rows(tagger, encoded, config, memory, control)) as used:
                known = Remembered(memory, embedding_name(tagger.model), used)
                state = _prepare(tagger, encoded, config, known, control, open_tags)
                loss_sum = _run_steps(state, batches, (round_number, rounds), site, progress)
                memory = _remember(state, memory, len(batches))
                if config.scaffold and control is not None:
                    change = state.drift.change(control, memory.control, used)
        finally:
            tagger.model.eval()
    sums = _sums(encoded, config, batches, loss_sum, time.perf_counter() - started, memory)
    return replace(sums, control_change=change)


def _recalled(memory: TrainingMemory, config: TrainingConfig) -> TrainingMemory:
    """Return what a site makes use of in this round of what it remembers."""
    if config.optimizer_state == OptimizerState.reset:
        memory = replace(memory, moments={}, optimizer_steps=0)
    if not memory.moments and not memory.control:
        memory = replace(memory, embedding_rows=None)
    return memory


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


def _open_tags(tagger: Tagger, encoded: Encoded, config: TrainingConfig, batches: list[Indices]) -> Unannotated | None:
    """Return what an O may hide, with what the model as it is now believes of it, where that is to be kept to."""
    found = unannotated(encoded, tagger.contract, config, resolve_device(config.device))
    if found is None or not config.distil_weight:
        return found
    return replace(found, believed=log_probabilities(tagger, encoded, config, np.unique(np.concatenate(batches))))


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


def _rows(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, memory: TrainingMemory, control: State | None
) -> NDArray[np.int64]:
    """Return the rows of the word embedding that this round can change beyond weight decay."""
    embedding, name = word_embedding(tagger.model), embedding_name(tagger.model)
    if embedding is None or name is None:
        return np.empty(0, np.int64)
    if (
        config.prox_mu or config.dyn_alpha
    ) and config.weight_decay:  # decay moves every row, and the pull brings it back
        return np.arange(embedding.num_embeddings)
    others = [control[name]] if config.scaffold and control is not None and name in control else []
    if memory.embedding_rows is None:
        known = {**memory.moments, **memory.control}
        others += [known[key] for key in (f"{key}/{name}" for key in (*MOMENTS, CONTROL)) if key in known]
    return used_rows(encoded, *others, remembered=memory.embedding_rows)


def _prepare(
    tagger: Tagger,
    encoded: Encoded,
    config: TrainingConfig,
    known: Remembered,
    control: State | None,
    open_tags: Unannotated | None,
) -> _Round:
    """Build the optimizer, with the moments in memory if there are any, and the terms against drift."""
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
    memory = known.memory
    for name, parameter in named if memory.moments else ():
        moments = {moment: known.tensor(memory.moments, moment, name, parameter) for moment in MOMENTS}
        step = torch.tensor(float(memory.optimizer_steps), device=parameter.device)
        optimizer.state[parameter] = {"step": step, **moments}
    scaler = torch.amp.GradScaler(device.type, enabled=precision == Precision.fp16)
    shared = [(name, parameter) for name, parameter in named if name not in tagger.personal]
    drift = begin(shared, config, control, known)  # a site's own tensors cannot drift away from anybody's
    return _Round(tagger, encoded, config, device, precision, known.used, optimizer, scaler, named, drift, open_tags)


def _num_steps(num_taken: int, config: TrainingConfig) -> int:
    return -(-num_taken // config.gradient_accumulation)


def _remember(state: _Round, memory: TrainingMemory, num_taken: int) -> TrainingMemory:
    """Return the memory after the round."""
    moments: dict[str, NDArray[np.float32]] = {}
    if state.config.optimizer_state == OptimizerState.keep:
        # The optimizer is about to be dropped, so its arrays may be handed out as they are.
        for name, parameter in state.named:
            moments |= {
                f"{moment}/{name}": state.optimizer.state[parameter][moment].cpu().numpy() for moment in MOMENTS
            }
    control = state.drift.to_memory()
    return TrainingMemory(
        position=memory.position + num_taken,
        rounds=memory.rounds + 1,
        optimizer_steps=memory.optimizer_steps + _num_steps(num_taken, state.config) if moments else 0,
        moments=moments,
        control=control,
        embedding_rows=state.used.rows if state.used is not None and (moments or control) else None,
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
    if state.drift.active or config.max_grad_norm is not None:
        state.scaler.unscale_(state.optimizer)
    if not config.scaffold:
        state.drift.steer()
    if config.max_grad_norm is not None:
        torch.nn.utils.clip_grad_norm_([p for _, p in state.named], config.max_grad_norm, foreach=True)
    if config.scaffold:  # control variates are means of clipped gradients
        state.drift.steer()
    for settings in state.optimizer.param_groups:
        settings["lr"] = lr
    scale = state.scaler.get_scale()
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.optimizer.zero_grad(set_to_none=True)
    if state.used is not None and state.scaler.get_scale() >= scale:  # in fp16 a step that overflows is left out
        state.used.shrink *= 1 - lr * config.weight_decay
    return losses


def batch_loss(state: _Round, windows: Indices) -> Tensor:
    """Return the loss of one batch, summed over its words."""
    if state.tagger.model.config.model_type in PACKED:
        batch = pack(state.encoded, windows, state.device, _MASK_DTYPES[state.precision])
    else:
        batch = collate(state.encoded, windows, state.device)
    input_ids = batch.input_ids if state.used is None else state.used.compact_ids[batch.input_ids]
    with autocast(state.device, state.precision):
        places = {} if batch.position_ids is None else {"position_ids": batch.position_ids}
        logits = state.tagger.model(input_ids=input_ids, attention_mask=batch.mask, **places).logits
    words = logits.flatten(0, 1).index_select(0, batch.positions).float()
    return batch_words_loss(words, batch, state.encoded, state.open_tags, state.config.distil_weight)
