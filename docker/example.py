"""Make what compose.yaml mounts: `python docker/example.py` writes kits, site files and invented text to example/.

kits/example/   what `fedner provision` issues for federation.yaml
site-NAME/      the site file and the text of each site, under /site in its container
fetched/        empty; the coordinator's container puts runs there
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from fedner.config.data import SyntheticData
from fedner.data.corpus import SPLITS
from fedner.data.labels import read_contract
from fedner.data.synthetic import generate
from fedner.data.writing import two_columns
from fedner.deployment.provisioning.federation_file import read_federation
from fedner.deployment.provisioning.issuing import issue

HERE = Path(__file__).resolve().parent
IMAGES_USER = 10001
"""Who the containers run as where whoever makes the example is root, which no container should be."""


def write_example(folder: Path) -> None:
    """Write the example to a folder that is not there yet."""
    folder.mkdir()
    federation = read_federation(HERE / "federation.yaml")
    issue(HERE / "federation.yaml", folder / "kits", datetime.now(UTC))
    (folder / "fetched").mkdir()
    corpus = generate(SyntheticData(institutions=len(federation.sites)), read_contract(HERE / "labels.yaml"))
    writers = sorted({document.metadata["institution"] for document in corpus.train})
    template = (HERE / "site.yaml").read_text(encoding="utf-8")
    for site, writer in zip(federation.sites, writers, strict=True):
        place = folder / f"site-{site.name}"
        place.mkdir()
        (place / "site.yaml").write_text(template.replace("site: north", f"site: {site.name}"), encoding="utf-8")
        for split in SPLITS:
            own = (each for each in corpus.split(split) if each.metadata["institution"] == writer)
            (place / f"{split}.conll").write_text(two_columns(own), encoding="utf-8")


def containers_user(folder: Path) -> str:
    """Return the user and group that can read private keys in a folder; as root, first give it to the images' user."""
    if os.getuid() != 0:
        return f"{os.getuid()}:{os.getgid()}"
    for path in (folder, *folder.rglob("*")):
        os.chown(path, IMAGES_USER, IMAGES_USER)
    return f"{IMAGES_USER}:{IMAGES_USER}"


def main() -> int:
    """Write docker/example, and docker/.env with the user that compose.yaml runs the containers as."""
    folder = HERE / "example"
    if folder.exists():
        print(f"{folder}: is there already; remove it to make it anew", file=sys.stderr)
        return 2
    write_example(folder)
    (HERE / ".env").write_text(f"FEDNER_USER={containers_user(folder)}\n", encoding="utf-8")
    print(folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
