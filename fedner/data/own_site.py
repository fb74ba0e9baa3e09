"""One institution's own text: what its site file names, under the federation's label contract."""

from dataclasses import replace
from pathlib import Path

from fedner.config import ContractConfig, FilesData
from fedner.config.site import SiteConfig, read_site
from fedner.data.corpus import Shard
from fedner.data.loading import load_corpus
from fedner.errors import ConfigError


def read_own_shard(site_file: Path, contract_file: Path) -> Shard:
    """Read the documents that a site file names; the contract is the kit's, whatever the site file says.

    Raises:
        ConfigError: the site file is at fault, or wants what cannot be done yet.
        DataError: one of its files is missing or wrong, or a split is empty.
        LabelError: a tag or the contract itself does not fit.
    """
    site = read_site(site_file)
    corpus = load_corpus(own_data(site, site_file, contract_file))
    return Shard(site.site, corpus.train, corpus.dev, corpus.test)


def own_data(site: SiteConfig, site_file: Path, contract_file: Path) -> FilesData:
    """Return what a site file says about its text, with whole paths and the kit's label contract.

    Raises:
        ConfigError: the site file wants what cannot be done yet.
    """
    _require_supported(site, site_file)
    folder = site_file.resolve().parent
    files = {split: [str(folder / name) for name in getattr(site.data, split)] for split in ("train", "dev", "test")}
    return replace(site.data, contract=ContractConfig(), contract_file=str(contract_file), **files)


def _require_supported(site: SiteConfig, path: Path) -> None:
    if site.data.contract.types or site.data.contract_file is not None:
        raise ConfigError(
            f"{path}: data.contract: wanted no label contract, since the federation's comes with the kit, found one"
        )
    if site.labels.map or site.labels.unannotated:
        # Left unread, they would change what the labels mean without a word.
        raise ConfigError(f"{path}: labels: wanted none, as mapping is not supported yet, found some; map in the files")
