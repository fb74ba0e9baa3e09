"""The one check that every config class uses."""

from fedner.errors import ConfigError


def require(condition: bool, key: str, wanted: str, found: object) -> None:
    """Raise `ConfigError` naming the key, what was wanted and what was found, unless `condition` holds."""
    if not condition:
        raise ConfigError(f"{key}: wanted {wanted}, found {found!r}")
