"""`fedner --version`."""

from importlib.metadata import version as installed


def version() -> None:
    """Print fedner's version."""
    print(f"fedner {installed('fedner')}")
