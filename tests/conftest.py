"""What tests of several folders share."""

import gc
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, settings

from fedner.config import Config, from_plain
from fedner.data.corpus import SPLITS, Document, Shard
from fedner.flower.identity import identify_server

# On a machine that has other things to do any test may be slow, so that none may fail for it.
settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.register_profile("unhurried-ci", settings.get_profile("unhurried"), derandomize=True)
settings.load_profile("unhurried-ci" if os.environ.get("CI") else "unhurried")

# Kernels of two threads each wait for the other's core where all cores are taken; what trains here is tiny.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_finish() -> None:
    """Spare what has been imported from being looked through again: Flower collects garbage once per reply."""
    gc.freeze()


@pytest.fixture(scope="session")
def reserve_port() -> Iterator[Callable[[], int]]:
    """Reserve a port until the end: the system gives it to nobody else, and a server that is told it may listen at it.

    It stays bound here without listening. Servers set SO_REUSEADDR, for which that is no hindrance (Linux).
    """
    held: list[socket.socket] = []

    def reserve() -> int:
        held.append(socket.socket())
        held[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held[-1].bind(("127.0.0.1", 0))
        return held[-1].getsockname()[1]

    yield reserve
    for each in held:
        each.close()


@pytest.fixture(scope="session")
def write_site() -> Callable[[Shard, Path], Path]:
    """Write a site's documents as CoNLL files, and a site file that names them; return that."""
    return _write_site


def _write_site(shard: Shard, folder: Path) -> Path:
    folder.mkdir(parents=True)
    for split in SPLITS:
        (folder / f"{split}.conll").write_text("".join(map(_conll, shard.split(split))), encoding="utf-8")
    content = {"site": shard.site, "data": {split: [f"{split}.conll"] for split in SPLITS}}
    (folder / "site.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder / "site.yaml"


def _conll(document: Document) -> str:
    sentences = ("".join(map("{} {}\n".format, each.words, each.tags)) for each in document.sentences)
    return "-DOCSTART- O\n\n" + "\n".join(sentences) + "\n"


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
