"""What tests of several folders share."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from fedner.data.corpus import SPLITS, Document, Shard


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
