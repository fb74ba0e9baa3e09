"""What a coordinator submits, with which token, and what a site tells its own processes."""

import hashlib
import hmac
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fedner.config import from_plain
from fedner.deployment.control.submission import for_sites
from fedner.deployment.provisioning.kit import Kit, Party
from fedner.deployment.provisioning.token import control_token
from fedner.deployment.service.client import write_node_config
from fedner.errors import ConfigError
from fedner.flower.app_bundle import app_bundle, description
from fedner.site.app_check import CLIENT_APP


@pytest.fixture
def kit(tmp_path) -> Kit:
    (tmp_path / "sites").mkdir()
    for site in ("north", "south", "east"):
        (tmp_path / "sites" / f"{site}.pub").write_text("a key")
    (tmp_path / "contract.yaml").write_text("name: notes\nversion: 3\ntypes:\n  DRUG: A medicine\n")
    (tmp_path / "server.key").write_bytes(b"the server's key")
    return Kit(
        folder=tmp_path, federation="cardio", party=Party.coordinator, host="fed.example.org", contract_hash="0" * 64,
        fedner="0.1.0", flwr="1.41.0", python="3.11", issued=datetime(2026, 1, 1, tzinfo=UTC),
        valid_until=datetime(2027, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def composed(data: str = "at_sites", **federation: int):
    groups = {"data": {"kind": data}, "partition": {"kind": "natural"}, "aggregation": {"kind": "fedavg"}}
    return from_plain({**groups, "federation": federation, "output": "/home/coordinator/runs"})


def test_a_submitted_config_has_the_kits_contract_all_its_sites_and_no_path(kit):
    config = for_sites(composed(), kit, any_number=False)
    assert (config.data.contract.name, config.data.contract.version) == ("notes", 3)
    assert config.data.contract.types == {"DRUG": "A medicine"}
    assert config.data.contract_file is None
    assert config.federation.min_sites == 3
    assert config.output == "runs"
    assert (config.name or "").startswith("cardio-")


def test_a_chosen_number_of_sites_stays(kit):
    assert for_sites(composed(min_sites=2), kit, any_number=False).federation.min_sites == 2
    assert for_sites(composed(min_sites=1), kit, any_number=True).federation.min_sites == 1


def test_text_of_the_coordinators_is_refused(kit):
    with pytest.raises(ConfigError, match="data: expected at_sites, since each site reads its own text, got synthetic"):
        for_sites(composed("synthetic"), kit, any_number=False)


def test_the_token_follows_from_the_servers_key_unless_the_kit_has_one(kit):
    derived = hmac.new(b"the server's key", b"fedner control token 1", hashlib.sha256).hexdigest()
    assert control_token(kit) == derived
    (kit.folder / "control.token").write_text("of its own\n")
    assert control_token(kit) == "of its own"
    (kit.folder / "control.token").unlink()
    kit.server_key.unlink()
    with pytest.raises(ConfigError, match="got neither"):
        control_token(kit)


@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")  # of Flower's own
def test_a_run_ships_a_description_and_no_code_and_the_same_bytes_every_time():
    bundle = app_bundle()
    assert bundle.hash_str == hashlib.sha256(bundle.content).hexdigest()
    app_bundle.cache_clear()
    assert app_bundle().content == bundle.content
    assert f'clientapp = "{CLIENT_APP}"' in description()
    assert b".py" not in bundle.content.replace(b"pyproject.toml", b"")


@pytest.mark.parametrize("name", ["plain", "with space", "quo'te", 'double"quote', "back\\slash", "ümlaut", "a=b c=d"])
def test_a_supernode_reads_the_paths_of_a_site_as_they_are(kit, tmp_path, name):
    state = tmp_path / name
    state.mkdir()
    write_node_config(state / "node.toml", kit, Path(tmp_path / name / "site.yaml"), state)
    said = tomllib.loads((state / "node.toml").read_text(encoding="utf-8"))
    assert said == {
        "site-file": str(state / "site.yaml"),
        "contract": str(kit.folder / "contract.yaml"),
        "memory-of-runs": str(state / "memory"),
    }
