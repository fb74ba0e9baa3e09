"""The checks that config classes share."""

import re

from fedner.errors import ConfigError

_RUN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)


def require(condition: bool, key: str, wanted: str, found: object) -> None:
    """Raise `ConfigError` naming the key, what was wanted and what was found, unless `condition` holds."""
    if not condition:
        raise ConfigError(f"{key}: expected {wanted}, got {found!r}")


def is_run_name(name: str) -> bool:
    """Return whether a run may be called so where others read its name: one plain folder, never another one's."""
    return _RUN_NAME.fullmatch(name) is not None
