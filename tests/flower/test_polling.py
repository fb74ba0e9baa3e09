"""Pieces of a message that are not there yet are asked for again soon, on Flower's own loop."""

import random

import pytest
from flwr.supercore.inflatable import inflatable_utils
from flwr.supercore.inflatable.inflatable_utils import ObjectUnavailableError, pull_objects

from fedner.flower.polling import LONGEST_SECONDS, look_again_soon


@pytest.fixture
def flowers_own(monkeypatch):
    """Put Flower's own defaults back afterwards."""
    for function in (inflatable_utils.pull_objects, inflatable_utils.pull_and_inflate_object_from_tree):
        monkeypatch.setattr(function, "__kwdefaults__", dict(function.__kwdefaults__))


def waits(monkeypatch, missing: int) -> list[float]:
    """Return how long Flower would wait before each question for a piece that is there after some of them."""
    asked, waited = [], []

    class Event(inflatable_utils.threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout)
            return False

    def pull(identity: str) -> bytes:
        asked.append(identity)
        if len(asked) <= missing:
            raise ObjectUnavailableError(identity)
        return b"piece"

    monkeypatch.setattr(random, "uniform", lambda low, high: 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(inflatable_utils.threading, "Event", Event)
        assert pull_objects(["a"], pull) == {"a": b"piece"}
    return [seconds for seconds in waited if seconds is not None]


def test_flower_waits_ten_seconds_and_fedner_one(monkeypatch, flowers_own):
    assert waits(monkeypatch, 5)[-1] == 10.0
    look_again_soon()
    assert waits(monkeypatch, 5) == [0.25, 0.5, 1.0, 1.0, LONGEST_SECONDS]


def test_asking_more_often_does_not_end_the_waiting_sooner(monkeypatch, flowers_own):
    look_again_soon()
    assert len(waits(monkeypatch, 2000)) == 2000, "Flower gives up after 500 questions"
