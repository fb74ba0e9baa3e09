"""Small real federations: generated notes, a random two-layer encoder, sites in this process."""

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from fedner.config import Config, from_plain
from fedner.federation.local_grid import identify_server

CONTRACT = {
    "name": "synthetic-notes",
    "version": 1,
    "types": {
        "PATIENT": "Name of a patient",
        "DRUG": "Name of a medicine",
        "DOSE": "Amount and unit of a medicine",
        "DATE": "Calendar date",
        "HOSPITAL": "Name of a hospital or clinic",
    },
}


def _config(seed: int = 0, training: dict | None = None, **federation: object) -> Config:
    """Three institutions, a handful of documents, two rounds, one thread."""
    data = {"kind": "synthetic", "institutions": 3, "contract": CONTRACT}
    documents = {"train_documents": 24, "dev_documents": 9, "test_documents": 9}
    return from_plain(
        {
            "seed": seed,
            "data": {**data, **documents},
            "partition": {"kind": "natural"},
            "aggregation": {"kind": "fedavg"},
            "model": {"name": "tiny-random"},
            "training": {"lr": 0.01, "threads": 1, "epochs": 2, **(training or {})},
            "federation": {"rounds": 2, **federation},
        }
    )


@pytest.fixture(autouse=True)
def _server_identity() -> None:
    identify_server()


@pytest.fixture(scope="session")
def small_config() -> Callable[..., Config]:
    return _config


@contextmanager
def _full_disk(room: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="session")
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """Let no file grow beyond so many bytes: writing fails where it would on a full disk."""
    return _full_disk
