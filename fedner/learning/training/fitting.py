"""The local loop: one function for all three arms. A model, encoded text and a task in; sums out.

AdamW (Loshchilov & Hutter 2019) with the learning rate as a function of the progress of the whole run, and optionally
terms against drifting away from the federation (`proximal_terms`). The same arguments give the same bytes on a CPU:
order and dropout come from the task's seeds, the number of threads is set, and the process's own generators and
settings are left as they were. `torch.use_deterministic_algorithms` is left alone: the CPU kernels used here are
deterministic for a given number of threads, which the tests hold, and the switch would fill every fresh buffer.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fedner.config import OptimizerState, Partial, Precision, TrainingConfig
from fedner.data.encoding import Encoded
from fedner.errors import RunError
from fedner.learning.batches import PACKED, Indices, collate, pack
from fedner.learning.device import autocast, cpu_threads, prepare_model, resolve_device, resolve_precision, seeded
from fedner.learning.inference import log_probabilities
from fedner.learning.tagger.model import Tagger, word_embedding
from fedner.learning.training.memory import CONTROL, MOMENTS, Remembered, TrainingMemory
from fedner.learning.training.partial import Unannotated, batch_words_loss, unannotated
from fedner.learning.training.proximal_terms import Drift, begin
from fedner.learning.training.sampling import num_batches, shuffled_epochs
from fedner.learning.training.schedule import LocalTraining, learning_rate
from fedner.learning.training.vocabulary import UsedRows, embedding_name, only_rows, used_rows
from fedner.tensors import State

OnStep = Callable[[int, int], None]
"""Called with (steps done, steps of this call) after each step."""
GradientRule = Callable[[], object]
"""A change to the gradients of one step, made between the backward passes and the optimizer."""

_MASK_DTYPES = {Precision.fp32: torch.float32, Precision.bf16: torch.bfloat16, Precision.fp16: torch.float16}
_STEPS_PER_LOSS_CHECK = 20  # reading the loss waits for a GPU; not after every step


@dataclass(frozen=True)
class FitResult:
    """Sums over one call of `fit`."""

    loss_sum: float
    """In nats, summed over words: cross-entropy, or `partial`'s loss where types were not annotated."""
    num_pieces: int
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
    """With SCAFFOLD, what this call adds to the site's control variate, in the shapes of the federation's."""


@dataclass(eq=False)
class _Loop:
    """The parts that the steps of one call share."""

    encoded: Encoded
    config: TrainingConfig
    named: list[tuple[str, nn.Parameter]]
    """Trained parameters; of the word embedding perhaps only the rows that take part."""
    used: UsedRows | None
    drift: Drift
    loss: Callable[[Indices], Tensor]
    """Windows of a batch -> its loss, summed over words, in nats."""
    rules: Sequence[GradientRule]
    optimizer: torch.optim.AdamW
    scaler: torch.amp.GradScaler


def fit(
    tagger: Tagger,
    encoded: Encoded,
    task: LocalTraining,
    *,
    memory: TrainingMemory | None = None,
    on_step: OnStep | None = None,
) -> FitResult:
    """Train the tagger in place for one part of a run.

    Args:
        memory: what the result of the last call for this site returned, at any earlier part; None starts afresh.

    Raises:
        RunError: the shard has no sentences, the loss is not finite, or memory or control is of another model.
        ConfigError: the device or precision is not available on this machine.
    """
    config, site = task.config, task.site
    if encoded.num_windows == 0:
        raise RunError(f"training: site '{site}' has no sentences; give it text or leave it out")
    started = time.perf_counter()
    memory = _recalled(memory or TrainingMemory(), config)
    device = resolve_device(config.device)
    sampler = shuffled_epochs(encoded, config.batch_size, task.seed, site)
    batches = sampler(memory.position, _num_due(encoded, config, memory))
    prepare_model(tagger.model, device, tagger.windowing.max_length)
    change: State | None = None
    open_tags = _open_tags(tagger, encoded, config, batches)
    with cpu_threads(config.threads), seeded(task.dropout_seed, device):
        tagger.model.train()
        try:
            with only_rows(tagger.model, _rows(tagger, encoded, config, memory, task.control)) as used:
                known = Remembered(memory, embedding_name(tagger.model), used)
                loop = _prepare(tagger, encoded, config, known, task.control, open_tags)
                loss_sum = _run_steps(loop, batches, task, on_step)
                memory = _remember(loop, memory, len(batches))
                if config.scaffold and task.control is not None:
                    change = loop.drift.change(task.control, memory.control, used)
        finally:
            tagger.model.eval()
    windows = np.concatenate(batches)
    return FitResult(
        loss_sum=loss_sum,
        num_pieces=int(encoded.lengths[windows].sum()),
        num_examples=int(encoded.first_windows[windows].sum()),
        num_words=int(np.diff(encoded.word_starts)[windows].sum()),
        steps=_num_steps(len(batches), config),
        seconds=time.perf_counter() - started,
        memory=memory,
        control_change=change,
    )


def _recalled(memory: TrainingMemory, config: TrainingConfig) -> TrainingMemory:
    """Return the part of a site's memory that this call uses."""
    if config.optimizer_state == OptimizerState.reset:
        memory = replace(memory, moments={}, optimizer_steps=0)
    if not memory.moments and not memory.control:
        memory = replace(memory, embedding_rows=None)
    return memory


def _num_due(encoded: Encoded, config: TrainingConfig, memory: TrainingMemory) -> int:
    """Return how many batches this call takes from the site's stream."""
    if config.steps is not None:
        return config.steps * config.gradient_accumulation
    # Counted from the first call, so that fractions of a batch are not lost call by call.
    per_epoch = num_batches(encoded, config.batch_size)
    return max(1, math.floor((memory.rounds + 1) * config.epochs * per_epoch + 0.5) - memory.position)


def _open_tags(tagger: Tagger, encoded: Encoded, config: TrainingConfig, batches: list[Indices]) -> Unannotated | None:
    """Return what an O may hide, with the present model's beliefs about it where they are to be kept to."""
    if config.partial is Partial.ignore:
        return None
    found = unannotated(encoded, tagger.contract, resolve_device(config.device))
    if found is None or not config.distil_weight:
        return found
    return replace(found, believed=log_probabilities(tagger, encoded, config, np.unique(np.concatenate(batches))))


def _rows(
    tagger: Tagger, encoded: Encoded, config: TrainingConfig, memory: TrainingMemory, control: State | None
) -> NDArray[np.int64]:
    """Return the rows of the word embedding that this call can change beyond weight decay."""
    embedding, name = word_embedding(tagger.model), embedding_name(tagger.model)
    if embedding is None or name is None:
        return np.empty(0, np.int64)
    if (config.prox_mu or config.dyn_alpha) and config.weight_decay:
        return np.arange(embedding.num_embeddings)  # decay moves every row, and the pull brings it back
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
) -> _Loop:
    """Build the optimizer, with the moments in memory if there are any, the loss, and the rules for gradients."""
    device = tagger.model.device
    precision = resolve_precision(config.precision, device)
    named = [(name, p) for name, p in tagger.model.named_parameters() if p.requires_grad]
    shared = [(name, parameter) for name, parameter in named if name not in tagger.personal]
    drift = begin(shared, config, control, known)  # a site's own tensors cannot drift away from anybody's
    to_batch = partial(pack, dtype=_MASK_DTYPES[precision]) if tagger.model.config.model_type in PACKED else collate

    def loss(windows: Indices) -> Tensor:
        batch = to_batch(encoded, windows, device)
        input_ids = batch.input_ids if known.used is None else known.used.compact_ids[batch.input_ids]
        with autocast(device, precision):
            places = {} if batch.position_ids is None else {"position_ids": batch.position_ids}
            logits = tagger.model(input_ids=input_ids, attention_mask=batch.mask, **places).logits
        words = logits.flatten(0, 1).index_select(0, batch.positions).float()
        return batch_words_loss(words, batch, encoded, open_tags, config.distil_weight)

    return _Loop(
        encoded=encoded,
        config=config,
        named=named,
        used=known.used,
        drift=drift,
        loss=loss,
        rules=_gradient_rules([parameter for _, parameter in named], config, drift),
        optimizer=_optimizer(named, config, known),
        scaler=torch.amp.GradScaler(device.type, enabled=precision == Precision.fp16),
    )


def _optimizer(named: list[tuple[str, nn.Parameter]], config: TrainingConfig, known: Remembered) -> torch.optim.AdamW:
    decayed = [p for _, p in named if p.ndim > 1]
    spared = [p for _, p in named if p.ndim <= 1]  # biases and LayerNorm
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": spared, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        fused=named[0][1].device.type in ("cpu", "cuda", "mps"),
    )
    memory = known.memory
    for name, parameter in named if memory.moments else ():
        moments = {moment: known.tensor(memory.moments, moment, name, parameter) for moment in MOMENTS}
        step = torch.tensor(float(memory.optimizer_steps), device=parameter.device)
        optimizer.state[parameter] = {"step": step, **moments}
    return optimizer


def _gradient_rules(parameters: list[nn.Parameter], config: TrainingConfig, drift: Drift) -> list[GradientRule]:
    """Return the rules in order: terms before clipping, but SCAFFOLD's control variates are means of clipped ones."""
    rules: list[GradientRule] = [drift.steer] if drift.active else []
    if config.max_grad_norm is not None:
        clip = partial(nn.utils.clip_grad_norm_, parameters, config.max_grad_norm, foreach=True)
        rules.insert(0 if config.scaffold else len(rules), clip)
    return rules


def _num_steps(num_taken: int, config: TrainingConfig) -> int:
    return -(-num_taken // config.gradient_accumulation)


def _run_steps(loop: _Loop, batches: list[Indices], task: LocalTraining, on_step: OnStep | None) -> float:
    """Take all steps of the call; return the loss summed over words."""
    size = loop.config.gradient_accumulation
    groups = [batches[at : at + size] for at in range(0, len(batches), size)]
    loss_sum = 0.0
    pending: list[Tensor] = []
    for index, group in enumerate(groups):
        progress = task.part.progress((index + 0.5) / len(groups))  # the middle of a step, so never 0
        pending += _step(loop, group, learning_rate(loop.config, progress))
        if (index + 1) % _STEPS_PER_LOSS_CHECK == 0 or index + 1 == len(groups):
            on_mps = pending[0].device.type == "mps"  # which has no float64
            loss_sum += float(sum(pending) if on_mps else torch.stack(pending).double().cpu().sum())
            pending.clear()
            if not math.isfinite(loss_sum):
                raise RunError(
                    f"training: the loss of site '{task.site}' is not finite in {task.part.name}; "
                    "lower training.lr, or set training.precision=fp32"
                )
        if on_step is not None:
            on_step(index + 1, len(groups))
    return loss_sum


def _step(loop: _Loop, group: list[Indices], lr: float) -> list[Tensor]:
    """Take one optimizer step on the joined batches of a group; return their losses summed over words.

    The sum over words is divided by the words that so many windows have on average. Windows of a batch are of similar
    length; divided by its own words, a batch of three-word sentences would give each of them ten times the weight of a
    word in a batch of long ones.
    """
    num_windows = sum(len(windows) for windows in group)
    num_words = num_windows * loop.encoded.num_words / loop.encoded.num_windows
    losses: list[Tensor] = []
    for windows in group:
        loss = loop.loss(windows)
        loop.scaler.scale(loss / num_words).backward()
        losses.append(loss.detach())
    if loop.rules:
        loop.scaler.unscale_(loop.optimizer)
    for change_gradients in loop.rules:
        change_gradients()
    for settings in loop.optimizer.param_groups:
        settings["lr"] = lr
    scale = loop.scaler.get_scale()
    loop.scaler.step(loop.optimizer)
    loop.scaler.update()
    loop.optimizer.zero_grad(set_to_none=True)
    if loop.used is not None and loop.scaler.get_scale() >= scale:  # in fp16 a step that overflows is left out
        loop.used.shrink *= 1 - lr * loop.config.weight_decay
    return losses


def _remember(loop: _Loop, memory: TrainingMemory, num_taken: int) -> TrainingMemory:
    """Return the memory after the call."""
    moments: dict[str, NDArray[np.float32]] = {}
    if loop.config.optimizer_state == OptimizerState.keep:
        # The optimizer is about to be dropped, so its arrays may be handed out as they are.
        for name, parameter in loop.named:
            moments |= {f"{moment}/{name}": loop.optimizer.state[parameter][moment].cpu().numpy() for moment in MOMENTS}
    control = loop.drift.to_memory()
    return TrainingMemory(
        position=memory.position + num_taken,
        rounds=memory.rounds + 1,
        optimizer_steps=memory.optimizer_steps + _num_steps(num_taken, loop.config) if moments else 0,
        moments=moments,
        control=control,
        embedding_rows=loop.used.rows if loop.used is not None and (moments or control) else None,
    )
