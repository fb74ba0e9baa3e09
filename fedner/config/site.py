"""The site file: one institution's text, labels, machine and policy; written and read only there.

A site file can narrow what a federation asks of the site, never widen it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fedner.config.checks import require
from fedner.config.data import FilesData
from fedner.config.knobs import PathKind, knob
from fedner.config.learning import Precision
from fedner.config.paths import seen_from
from fedner.config.plain import refuse_unsafe
from fedner.config.policy import SitePolicy
from fedner.config.strict_yaml import read_yaml
from fedner.config.suggesting import keys_of, suggestion
from fedner.errors import ConfigError

_PATH = knob(path=PathKind.path)


@dataclass(kw_only=True)
class SiteLabels:
    """How this site's own types become the contract's."""

    map: dict[str, str | None] = field(default_factory=dict)
    """The site's type -> the contract's type; null drops it. Types that bear the contract's name need no line."""
    unannotated: list[str] = field(default_factory=list)
    """Contract types that are not annotated in this site's text, so that an `O` may hide one."""
    unannotated_by_split: dict[str, list[str]] = field(default_factory=dict)
    """For a split named here (train, dev, test), these in place of `unannotated`."""

    def __post_init__(self) -> None:
        for split in self.unannotated_by_split:
            wanted = "one of train, dev, test"
            require(split in ("train", "dev", "test"), "labels.unannotated_by_split", wanted, split)


@dataclass(kw_only=True)
class MachineConfig:
    """The limits that a run must keep on the site's machine."""

    device: str | None = None
    """Torch device name, in place of the run's own; null leaves it to the run."""
    precision: Precision | None = None
    """Arithmetic of forward and backward pass, in place of the run's own; null leaves it to the run."""
    threads: int | None = None
    """Most CPU threads (> 0); a run that asks for fewer gets fewer. Null leaves it to the run."""
    nice: int = 0
    """Niceness of the process that trains, 0 to 19; a higher one yields the processor to others."""
    gpu_memory_fraction: float | None = None
    """Share of the GPU's memory that training may take, (0, 1]; null sets no limit."""

    def __post_init__(self) -> None:
        require(self.threads is None or self.threads > 0, "threads", "a number above 0 or null", self.threads)
        require(0 <= self.nice <= 19, "nice", "0 to 19", self.nice)
        share = self.gpu_memory_fraction
        require(share is None or 0 < share <= 1, "gpu_memory_fraction", "a number in (0, 1] or null", share)


@dataclass(kw_only=True)
class TrailConfig:
    """The site's record of requests and of the replies that left, see docs/security.md."""

    path: str = field(default="audit.jsonl", metadata=_PATH)
    """The audit trail; a relative path is seen from the site file."""
    anchor: str | None = field(default=None, metadata=_PATH)
    """File, best on another disk or machine, that receives the trail's head after every line, so that lines cut off its
    end are noticed. A relative path is seen from the site file."""


@dataclass(kw_only=True)
class SiteConfig:
    """One institution's side of a federation."""

    site: str = ""
    """The site's name in the federation."""
    data: FilesData = field(default_factory=FilesData)
    """The site's own files, one list per split; relative paths are seen from the site file."""
    labels: SiteLabels = field(default_factory=SiteLabels)
    """How this site's types become the contract's."""
    accept_changed_text: bool = False
    """Whether a run goes on when the site's text changed since it began; otherwise the site refuses its requests."""
    machine: MachineConfig = field(default_factory=MachineConfig)
    """Limits that a run must keep on the site's machine."""
    policy: SitePolicy = field(default_factory=SitePolicy)
    """Requests that the site answers, and values that may leave."""
    audit: TrailConfig = field(default_factory=TrailConfig)
    """The site's own record."""

    def __post_init__(self) -> None:
        require(bool(self.site), "site", "the site's name in the federation", self.site)


def read_site(path: str | Path) -> SiteConfig:
    """Read a site file; its relative paths become absolute, seen from where the file lies.

    Raises:
        ConfigError: the file is missing or no such YAML, a key is unknown, or a value is ill-typed or out of range; the
            message names file and key.
    """
    place = Path(path)
    plain: Any = read_yaml(place, "a site file")
    if not isinstance(plain, dict):
        raise ConfigError(f"{place}: expected a site file with `site`, `data` and `labels`, got no such keys")
    try:
        return seen_from(_site_of(plain), place.resolve().parent)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error


def _site_of(plain: dict[Any, Any]) -> SiteConfig:
    refuse_unsafe(plain, "")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(SiteConfig), plain)
        config = OmegaConf.to_object(merged)
    except ConfigError as error:
        raise ConfigError(_placed(plain, str(error))) from error
    except OmegaConfBaseException as error:
        key, reason = getattr(error, "full_key", None), str(error).splitlines()[0]
        if not key:
            raise ConfigError(f"site file: {reason}") from error
        raise ConfigError(f"{key}: {reason}{suggestion(key, keys_of(SiteConfig))}") from error
    assert isinstance(config, SiteConfig)
    return config


def _placed(plain: dict[Any, Any], message: str) -> str:
    """Return a check's message with the whole key; a class checks its own fields and does not know where it stands."""
    leaf, _, rest = message.partition(": ")
    named = {key for key in keys_of(SiteConfig) if key.rpartition(".")[2] == leaf}
    here = {key for key in named if _is_given(plain, key)}
    here = here or {key for key in named if _is_given(plain, key.rpartition(".")[0])}
    return f"{here.pop()}: {rest}" if len(here) == 1 else message


def _is_given(plain: Any, key: str) -> bool:
    for name in key.split("."):
        if not isinstance(plain, dict) or name not in plain:
            return False
        plain = plain[name]
    return True
