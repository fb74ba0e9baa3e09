"""The log that `flwr run --stream` and `fedner logs` show: Flower sends its own logger's lines there, and no others."""

from logging import INFO

from flwr.common.logger import log


def log_line(text: str) -> None:
    """Log one line."""
    log(INFO, "%s", text)
