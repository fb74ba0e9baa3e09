"""Files and names from elsewhere: nothing in them is built, run or followed out of its folder."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fedner.cli.main import main
from fedner.config import Config, dumps, from_plain
from fedner.config.site import read_site
from fedner.data.labels import read_contract
from fedner.data.negotiation import read_statement
from fedner.deployment.control.client import Control
from fedner.deployment.control.submission import OVERRIDES
from fedner.deployment.provisioning.federation_file import read_federation, read_revoked
from fedner.deployment.provisioning.kit import read_kit
from fedner.deployment.service.downloads import OfferedFile
from fedner.errors import ConfigError, FednerError
from fedner.records.run_directory import read_config
from fedner.server.run_config import registered_nodes, run_config

PACKAGE = Path(__file__).parent.parent / "fedner"
READERS: dict[str, Callable[[Path], object]] = {
    "federation.yaml": read_federation,
    "kit.yaml": lambda path: read_kit(path.parent),
    "revoked.yaml": read_revoked,
    "contract.yaml": read_contract,
    "site.yaml": read_site,
    "config.yaml": read_config,
    "types.yaml": read_statement,
}
"""Every YAML file that a party reads, and its reader; test_every_reader_of_yaml_is_tried holds this to the code."""
TAGS = (
    "!!python/object/apply:os.mkdir [{mark}]",
    "!!python/object/new:os.mkdir [{mark}]",
    "!!python/name:os.mkdir ",
    "!!python/module:antigravity ",
    "!mine {{a: 1}}",
)


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("name", READERS)
def test_an_object_tag_in_a_yaml_file_is_refused_and_does_nothing(tmp_path, name, tag):
    mark = tmp_path / "mark"
    for text in (tag, f"name: {tag}", f"? {tag}\n: 1"):
        (tmp_path / name).write_text(text.format(mark=mark) + "\n")
        with pytest.raises(FednerError):
            READERS[name](tmp_path / name)
    assert not mark.exists()


def test_a_saved_config_with_an_object_tag_is_refused_by_the_command(tmp_path, capsys):
    mark = tmp_path / "mark"
    (tmp_path / "config.yaml").write_text(TAGS[0].format(mark=mark))
    assert main(["config", "--from", str(tmp_path)]) == 2
    assert "got no readable" in capsys.readouterr().err
    assert not mark.exists()


def test_every_reader_of_yaml_is_tried_and_none_builds_objects():
    code = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    calls = {path: re.findall(r"yaml\.\w*load\w*\([^\n]*", text) for path, text in code.items()}
    own = {"cli/compose.py", "config/strict_yaml.py", "records/run_directory.py"}
    assert {path for path, found in calls.items() if found} == own
    assert all("safe_load" in call or "StrictLoader" in call for found in calls.values() for call in found)
    strict = {"config/site.py", "config/typed.py", "data/labels.py"}
    assert {path for path, text in code.items() if "import read_yaml" in text} == strict


def test_nothing_in_the_code_makes_objects_by_name_or_from_pickles():
    code = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    made = r"instantiate\(|get_object\(|get_class\(|pickle\.load|torch\.load\(|allow_pickle=True"
    assert re.findall(rf"{made}|(?<![\w.])(?:eval|exec)\(", code) == []


@pytest.mark.parametrize("key", ["_target_", "training._target_", "aggregation._target_", "data.contract._target_"])
def test_a_target_in_a_run_config_is_refused_as_an_unknown_key(tmp_path, key):
    plain = json.loads(dumps(at_sites()))
    *groups, last = key.split(".")
    place = plain
    for group in groups:
        place = place[group]
    place[last] = "os.mkdir"
    with pytest.raises(ConfigError, match="_target_"):
        run_config(json.dumps(plain), str(tmp_path))


def at_sites(name: str | None = "first") -> Config:
    groups = dict(override.split("=") for override in OVERRIDES)
    contract = {"name": "notes", "version": 1, "types": {"DRUG": "a medicine"}}
    return from_plain(
        {
            "name": name,
            "data": {"kind": groups["data"], "contract": contract},
            "partition": {"kind": groups["partition"]},
            "aggregation": {"kind": "fedavg"},
        }
    )


@pytest.mark.parametrize("text", ['{"1": {"_target_": "os.mkdir"}, "x": "y"}', "[]", "!!python/name:os.mkdir"])
def test_who_is_who_is_plain_json_or_refused(text):
    with pytest.raises(ConfigError, match="expected node ids and names of sites"):
        registered_nodes(text)


@pytest.mark.parametrize("name", ["../out", "a/b", "/tmp/out", "..", ".hidden", "a\\b", "a\nb", "x" * 129, ""])
def test_a_run_at_sites_cannot_be_named_out_of_its_folder(name):
    with pytest.raises(ConfigError, match="name: expected"):
        at_sites(name)


class _Offering(Control):
    """A server that offers what it likes."""

    def __init__(self, path: str) -> None:
        self.path = path

    def offered(self, name: str) -> list[OfferedFile]:
        return [OfferedFile(self.path, 3, "0" * 64)]


@pytest.mark.parametrize("path", ["../evil", "model/../../evil", "/tmp/evil", "model/../../../evil"])
def test_a_file_that_a_server_offers_outside_the_run_is_not_fetched(tmp_path, path):
    with pytest.raises(FednerError, match="which belongs nowhere here"):
        _Offering(path).fetch("first", tmp_path / "runs" / "first")
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_folder_is_not_followed_by_what_a_server_offers(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model").symlink_to(tmp_path)
    with pytest.raises(FednerError, match="which belongs nowhere here"):
        _Offering("model/evil").fetch("first", tmp_path / "run")
