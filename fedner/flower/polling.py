"""Polling interval for pieces of a message that its sender has not uploaded yet.

A large message is announced before its pieces are there, and pulled in pieces. For one that is missing Flower waits
1 s, then twice as long each time up to 10 s, and has no setting for it; a site that has just missed the last piece of a
request does nothing for ten seconds. A question costs some hundred bytes.
"""

from flwr.supercore.inflatable.inflatable_utils import pull_and_inflate_object_from_tree, pull_objects

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 1.0


def look_again_soon() -> None:
    """Shorten these waits in this process; how long a piece is waited for in all stays Flower's (two hours)."""
    # Flower also counts questions; with shorter waits their number would end the waiting before its time.
    waits = {"initial_backoff": FIRST_SECONDS, "backoff_cap": LONGEST_SECONDS, "max_tries_per_object": None}
    for function in (pull_objects, pull_and_inflate_object_from_tree):
        defaults = getattr(function, "__kwdefaults__")  # noqa: B009  # pyright knows no functions that are written to
        assert waits.keys() <= defaults.keys(), function
        defaults.update(waits)
