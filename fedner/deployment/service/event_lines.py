"""The log of a server or a site: one line for each event, with its time and fields.

    time=2026-01-31T08:15:00.123+00:00 event=site-online site=north

Values are names, numbers and sentences of fedner's own, never text of a site, and never a key.
"""

import re
import sys
from datetime import UTC, datetime

_PLAIN = re.compile(r"[\w.,:/@+-]+")


def event_line(event: str, **about: object) -> str:
    """Return the line; a value with spaces in it stands in quotes."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    pairs = {"time": time, "event": event, **{key.replace("_", "-"): value for key, value in about.items()}}
    return " ".join(f"{key}={_quoted(str(value))}" for key, value in pairs.items())


def log_event(event: str, **about: object) -> None:
    """Print the line of an event and flush it."""
    print(event_line(event, **about), file=sys.stdout, flush=True)


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"'
