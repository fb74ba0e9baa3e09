"""A run as Flower knows it, the same from its database and from its control API."""

import json
from dataclasses import dataclass
from typing import Protocol


class _Status(Protocol):
    @property
    def status(self) -> str: ...
    @property
    def sub_status(self) -> str: ...
    @property
    def details(self) -> str: ...


@dataclass(frozen=True)
class SubmittedRun:
    """A run that was submitted.

    `number` is Flower's, `name` fedner's ("" for another app's). `status` is running, completed, failed, stopped, …;
    `details` says why it failed, `submitted` when it was submitted (ISO 8601).
    """

    number: int
    name: str
    status: str
    details: str
    submitted: str


def submitted_run(number: int, config: str, status: _Status, submitted: str) -> SubmittedRun:
    """Return a run.

    Args:
        number: its id.
        config: what fedner wrote into the run's config, JSON.
        status: in Flower's words.
        submitted: when it was.
    """
    word = (status.sub_status or status.status).removeprefix("finished:")
    return SubmittedRun(number, _name(config), word, status.details, submitted)


def _name(config: str) -> str:
    try:
        return str(json.loads(config).get("name") or "")
    except (json.JSONDecodeError, AttributeError):
        return ""
