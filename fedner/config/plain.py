"""What plain values, from JSON or YAML, may hold before a config is made of them."""

import math

from fedner.errors import ConfigError


def refuse_unsafe(value: object, key: str) -> None:
    """Refuse what OmegaConf would act on, and numbers that JSON cannot carry.

    The text may come from another machine: an interpolation such as ${oc.env:HOME} would read this one's environment,
    and ??? would silently become the default.
    """
    if isinstance(value, dict):
        for name, each in value.items():
            refuse_unsafe(each, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for each in value:
            refuse_unsafe(each, key)
    elif isinstance(value, str) and ("${" in value or value == "???"):
        raise ConfigError(f"{key}: expected a plain value, got {value!r}")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{key}: expected a finite number, got {value}")
