"""The site file: what one institution says about its text, its labels and its machine; written and read only there.

A site file can narrow what a federation asks of the site, never widen it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fedner.config.checks import require
from fedner.config.data import FilesData
from fedner.config.plain import refuse_unsafe
from fedner.errors import ConfigError


@dataclass(kw_only=True)
class SiteLabels:
    """How this site's own types become the contract's."""

    map: dict[str, str | None] = field(default_factory=dict)
    """The site's type -> the contract's type; null drops it. Types that bear the contract's name need no line."""
    unannotated: list[str] = field(default_factory=list)
    """Contract types that nobody looked for in this site's text, so that an `O` may hide one."""
    unannotated_by_split: dict[str, list[str]] = field(default_factory=dict)
    """For a split named here (train, dev, test), these in place of `unannotated`."""

    def __post_init__(self) -> None:
        for split in self.unannotated_by_split:
            wanted = "one of train, dev, test"
            require(split in ("train", "dev", "test"), "labels.unannotated_by_split", wanted, split)


@dataclass(kw_only=True)
class SiteConfig:
    """One institution's side of a federation."""

    site: str = ""
    """The site's name in the federation."""
    data: FilesData = field(default_factory=FilesData)
    """The site's own files, one list per split; relative paths are seen from the site file."""
    labels: SiteLabels = field(default_factory=SiteLabels)
    """How this site's types become the contract's."""

    def __post_init__(self) -> None:
        require(bool(self.site), "site", "the site's name in the federation", self.site)


def read_site(path: str | Path) -> SiteConfig:
    """Read a site file.

    Raises:
        ConfigError: the file is missing or no such YAML, a key is unknown, or a value is ill-typed or out of range; the
            message names file and key.
    """
    place = Path(path)
    try:
        plain: Any = yaml.safe_load(place.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigError(f"{place}: no such site file") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{place}: wanted a YAML site file, found {' '.join(str(error).split())}") from error
    if not isinstance(plain, dict):
        raise ConfigError(f"{place}: wanted a site file with `site`, `data` and `labels`, found no such keys")
    try:
        refuse_unsafe(plain, "")
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(SiteConfig), plain))
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "site file"
        raise ConfigError(f"{place}: {key}: {str(error).splitlines()[0]}") from error
    assert isinstance(config, SiteConfig)
    return config
