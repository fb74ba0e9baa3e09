"""The checks that config classes share."""

import re

from fedner.errors import ConfigError

_RUN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)


def require(condition: bool, key: str, expected: str, got: object) -> None:
    """Raise `ConfigError` with the key, what was expected and what was got, unless `condition` holds."""
    if not condition:
        raise ConfigError(f"{key}: expected {expected}, got {got!r}")


def is_run_name(name: str) -> bool:
    """Return whether a name is safe for a run that others store under it: one plain folder name."""
    return _RUN_NAME.fullmatch(name) is not None
