"""One institution's own text: what its site file names, under the federation's label contract."""

from pathlib import Path

from fedner.config.site import SiteConfig, read_site
from fedner.data.checking import CheckReport, check_piece, missing_splits
from fedner.data.corpus import Shard
from fedner.data.labels import read_contract
from fedner.data.mapping import LabelMap, own_pieces, read_site_shard
from fedner.errors import ConfigError


def read_own_shard(site_file: Path, contract_file: Path) -> Shard:
    """Read the documents that a site file names; the contract is the kit's, whatever the site file says.

    Raises:
        ConfigError: the site file is at fault.
        DataError: one of its files is missing or wrong, or a split is empty.
        LabelError: a tag, the site file's labels or the contract itself does not fit.
    """
    site = read_site(site_file)
    _require_no_contract(site, site_file)
    return read_site_shard(site, read_contract(contract_file))


def check_own_text(site_file: Path, contract_file: Path) -> CheckReport:
    """Read everything that a site file names, and report what is in it, by the site's own types, and what is wrong.

    Raises:
        ConfigError: the site file is at fault.
        DataError: a file cannot be found.
        LabelError: the site file's labels or the contract itself does not fit.
    """
    site, contract = read_site(site_file), read_contract(contract_file)
    _require_no_contract(site, site_file)
    mapping = LabelMap(site.labels, contract)
    files = tuple(check_piece(piece, mapping.own_types(piece.split)) for piece in own_pieces(site, mapping))
    return CheckReport(site.site, contract.digest, contract.type_names, files, warnings=tuple(missing_splits(files)))


def _require_no_contract(site: SiteConfig, path: Path) -> None:
    if site.data.contract.types or site.data.contract_file is not None:
        raise ConfigError(
            f"{path}: data.contract: expected no label contract, since the federation's comes with the kit, got one"
        )
