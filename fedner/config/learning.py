"""The encoder and the local training loop."""

from dataclasses import dataclass, field
from enum import StrEnum

from fedner.config.checks import require
from fedner.config.knobs import Arm, PathKind, knob

_FEDERATED = knob(arm=Arm.federated)


@dataclass(frozen=True)
class Windowing:
    """How text is cut into windows for an encoder."""

    max_length: int = 128
    """Word pieces in a window, special tokens included."""
    overlap_words: int = 16
    """Words that neighbouring windows of a long sentence share at least where they fit, at most half a window."""
    context_words: int = 0
    """Words of the sentences before and after, of the same document, that a window shows as far as they fit."""


@dataclass(kw_only=True)
class ModelConfig:
    """The encoder and how text is cut for it."""

    name: str = field(default="minilm", metadata=knob(path=PathKind.folder_or_name))
    """`minilm` (embedded default, fetched on first use), `tiny-random` (2 random layers, for tests and smoke runs), a
    local Hugging Face directory or a hub name of a BERT-family encoder."""
    revision: str | None = None
    """Commit or tag to pin, for hub names."""
    max_length: int = 128
    """Window length in word pieces, special tokens included (8 to 512)."""
    overlap_words: int = 16
    """Words that neighbouring windows of a long sentence share as context (>= 0)."""
    context_words: int = 0
    """Words of the sentences before and after, of the same document, that a window shows as far as they fit (>= 0)."""
    dropout: float | None = None
    """Dropout of encoder and head, [0, 1); None keeps the encoder's own."""
    frozen: list[str] = field(default_factory=list)
    """Prefixes of parameter names that are neither trained nor sent, such as `bert.embeddings`."""
    personal: list[str] = field(default_factory=list, metadata=_FEDERATED)
    """Names of tensors, `*` standing for anything, that each site trains and keeps for itself: `classifier` for
    personal heads (FedPer), `*LayerNorm*` for personal normalisation (FedBN)."""

    def __post_init__(self) -> None:
        check_windowing(self.windowing)
        if self.dropout is not None:
            require(0 <= self.dropout < 1, "model.dropout", "a number in [0, 1)", self.dropout)

    @property
    def windowing(self) -> Windowing:
        """How text is cut for the encoder."""
        return Windowing(self.max_length, self.overlap_words, self.context_words)


def check_windowing(windowing: Windowing) -> None:
    """Refuse windows that no encoder of ours takes.

    Raises:
        ConfigError: a value is out of range.
    """
    require(8 <= windowing.max_length <= 512, "model.max_length", "8 to 512 word pieces", windowing.max_length)
    require(windowing.overlap_words >= 0, "model.overlap_words", "0 or more words", windowing.overlap_words)
    require(windowing.context_words >= 0, "model.context_words", "0 or more words", windowing.context_words)


class Schedule(StrEnum):
    """Learning rate over the whole run, not over one round."""

    linear = "linear"
    constant = "constant"


class Precision(StrEnum):
    """Arithmetic of the forward and backward pass; weights and optimizer stay float32."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


class OptimizerState(StrEnum):
    """Whether a site keeps AdamW's moments between rounds."""

    reset = "reset"
    keep = "keep"


class Partial(StrEnum):
    """The meaning of an `O` for types that were not annotated in a document."""

    marginal = "marginal"
    ignore = "ignore"


@dataclass(kw_only=True)
class TrainingConfig:
    """The local loop, the same for all arms; one round is `epochs` (or `steps`) at a site."""

    lr: float = 1e-4
    """Peak learning rate of AdamW (> 0)."""
    batch_size: int = 16
    """Windows per batch (> 0)."""
    gradient_accumulation: int = 1
    """Batches per optimizer step (> 0)."""
    epochs: float = 1.0
    """Passes over the shard per round (> 0); fractions allowed, the passes continue where the last round stopped."""
    steps: int | None = None
    """Optimizer steps per round (> 0), in place of `epochs`."""
    schedule: Schedule = Schedule.linear
    """Shape of the learning rate after warm-up, over all rounds together."""
    warmup: float = 0.1
    """Share of the whole run's steps with a rising learning rate, [0, 1)."""
    weight_decay: float = 0.01
    """Decoupled weight decay (>= 0); never on biases and LayerNorm."""
    beta1: float = 0.9
    """AdamW first-moment decay, [0, 1)."""
    beta2: float = 0.999
    """AdamW second-moment decay, [0, 1)."""
    epsilon: float = 1e-8
    """AdamW epsilon (> 0)."""
    max_grad_norm: float | None = 1.0
    """Global gradient norm limit (> 0); None does not clip."""
    prox_mu: float = field(default=0.0, metadata=_FEDERATED)
    """FedProx: weight of 1/2 ||w - w_round||^2 in the site's objective (>= 0). Li et al. 2020."""
    scaffold: bool = field(default=False, metadata=_FEDERATED)
    """SCAFFOLD: correct a site's gradients by control variates, which double what travels. Karimireddy et al. 2020."""
    dyn_alpha: float = field(default=0.0, metadata=_FEDERATED)
    """FedDyn: weight of the site's dynamic regularizer (>= 0); needs `aggregation=feddyn`. Acar et al. 2021."""
    partial: Partial = Partial.marginal
    """Where some types were not annotated in a document: `marginal` lets an `O` be any tag of those (partial annotation
    likelihood), `ignore` treats every `O` as a true negative, which teaches that they are not entities."""
    distil_weight: float = 1.0
    """With `partial=marginal`, weight of keeping to the model that a round began with on what such an `O` may be (>= 0;
    1 makes the expected cross-entropy under that model, 0 is the marginal loss alone). After Wang et al. 2023."""
    optimizer_state: OptimizerState = field(default=OptimizerState.reset, metadata=_FEDERATED)
    """Forget or keep AdamW's moments between rounds at a site. Both came to the same F1 on dev (simulations/LOG.md),
    and forgotten moments need not be stored at sites."""
    precision: Precision = Precision.auto
    """`auto` takes bf16 where the device computes it natively, else fp32."""
    device: str = "auto"
    """`auto` takes CUDA, then MPS, then CPU; or a torch device name."""
    threads: int | None = None
    """CPU threads (> 0); None takes all cores of the machine. Part of what makes runs reproducible bit by bit."""
    eval_batch_size: int = 64
    """Windows per batch in evaluation and prediction (> 0)."""

    def __post_init__(self) -> None:
        for name in ("lr", "batch_size", "gradient_accumulation", "epochs", "epsilon", "eval_batch_size"):
            require(getattr(self, name) > 0, f"training.{name}", "a number above 0", getattr(self, name))
        for name in ("steps", "max_grad_norm", "threads"):
            value = getattr(self, name)
            require(value is None or value > 0, f"training.{name}", "a number above 0 or null", value)
        for name in ("warmup", "beta1", "beta2"):
            require(0 <= getattr(self, name) < 1, f"training.{name}", "a number in [0, 1)", getattr(self, name))
        for name in ("weight_decay", "prox_mu", "dyn_alpha", "distil_weight"):
            require(getattr(self, name) >= 0, f"training.{name}", "0 or more", getattr(self, name))
        alone = "0 with training.prox_mu or training.scaffold"
        require(not self.dyn_alpha or not (self.prox_mu or self.scaffold), "training.dyn_alpha", alone, self.dyn_alpha)
