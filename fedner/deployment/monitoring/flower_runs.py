"""Names and states of Flower's runs."""

import json


def state_of(status: str, sub_status: str) -> str:
    """Return how a run of Flower's stands, in a word: running, completed, failed, stopped, …"""
    return (sub_status or status).removeprefix("finished:")


def name_of(config: str) -> str:
    """Return fedner's name of a run, which the JSON of its config has; that of another app has none."""
    try:
        return str(json.loads(config).get("name") or "")
    except (json.JSONDecodeError, AttributeError):
        return ""
