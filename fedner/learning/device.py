"""Where and how arithmetic runs: device, precision, threads; and isolation from the process's own settings."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from fedner.config import Precision
from fedner.errors import ConfigError

_PLAIN_ATTENTION_PIECES = 256


def resolve_device(name: str) -> torch.device:
    """Return the device of a `training.device` value.

    Raises:
        ConfigError: no such device here.
    """
    if name == "auto":
        mps = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"training.device: expected auto, cpu, cuda, cuda:0, … or mps, got {name!r}") from error
    usable = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not usable.get(device.type, False):
        raise ConfigError(f"training.device: {name!r} is not available on this machine; use auto or cpu")
    return device


def resolve_precision(precision: Precision, device: torch.device) -> Precision:
    """Return fp32, bf16 or fp16; `auto` is resolved for this device.

    Raises:
        ConfigError: fp16 on a CPU, for which PyTorch has no loss scaling.
    """
    if precision == Precision.auto:
        return Precision.bf16 if computes_bf16(device) else Precision.fp32
    if precision == Precision.fp16 and device.type == "cpu":
        raise ConfigError("training.precision: fp16 needs a GPU; on a CPU use auto, bf16 or fp32")
    return precision


def computes_bf16(device: torch.device) -> bool:
    """Return whether the device multiplies bf16 in hardware, not by emulation."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    # oneDNN accepts bf16 on any AVX-512 CPU and emulates it, slower than fp32; only these instructions make it pay.
    return any(bool(_cpu_capabilities().get(name)) for name in ("avx512_bf16", "amx_bf16"))


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return the context of a forward pass in a resolved precision."""
    dtype = torch.float16 if precision == Precision.fp16 else torch.bfloat16
    return torch.autocast(device.type, dtype=dtype, enabled=precision != Precision.fp32)


def prepare_model(model: PreTrainedModel, device: torch.device, max_length: int) -> None:
    """Move a model to the device, with the way to attend that is fastest there.

    On a CPU the plain matrix products beat the fused kernels on short windows, by 5 to 10 % in training (which has
    dropout, so that nothing is fused anyway) and 11 % in evaluation; on long ones they would take too much memory.
    """
    model.to(device)  # pyright: ignore[reportArgumentType]
    plain = device.type == "cpu" and max_length <= _PLAIN_ATTENTION_PIECES
    wanted = "eager" if plain or not model._supports_sdpa else "sdpa"
    if model.config._attn_implementation != wanted:
        model.set_attn_implementation(wanted)


@contextmanager
def cpu_threads(threads: int | None) -> Iterator[None]:
    """Set PyTorch's thread count within the context; None takes all cores.

    Always set, also to what is there already: a worker process may have started with fewer, and sums differ in the last
    bit with the number of threads.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads or all_cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def all_cores() -> int:
    """Return the cores this process may use, hyper-threads of a core counted once where that is known."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    physical = _cpu_capabilities().get("num_physical_cores")
    return min(allowed, physical) if isinstance(physical, int) else allowed


def _cpu_capabilities() -> Mapping[str, object]:
    """Return PyTorch's description of the CPU; empty in releases that have none, which then compute in float32."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    return ask() if ask is not None else {}


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the generators that dropout draws from; their states are restored afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        if device.type != "mps":
            yield
            return
        before = torch.mps.get_rng_state()
        torch.mps.manual_seed(seed)
        try:
            yield
        finally:
            torch.mps.set_rng_state(before)


def hold_process(nice: int, gpu_memory_fraction: float | None) -> None:
    """Limit this process in favour of others: a minimum niceness, and a maximum share of each GPU's memory."""
    if os.getpriority(os.PRIO_PROCESS, 0) < nice:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    if gpu_memory_fraction is not None and torch.cuda.is_available():
        for device in range(torch.cuda.device_count()):
            torch.cuda.set_per_process_memory_fraction(gpu_memory_fraction, device)
