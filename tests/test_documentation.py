"""Every fedner command in the README and the docs composes; every file that they name is there."""

import json
import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from fedner.cli import main
from fedner.cli.compose import run_composed
from fedner.cli.main import VERBS
from fedner.config import Config
from fedner.federation.events import Event

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMPOSED = ("simulate", "compare", "config", "data")


def commands() -> list[str]:
    found: list[str] = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            lines = block.replace("\\\n", " ").splitlines()
            found += [line.partition(" #")[0].strip() for line in lines if line.startswith("fedner ")]
    return found


def test_the_pages_have_commands():
    assert len(commands()) > 15


@pytest.mark.parametrize("command", [line for line in commands() if line.split()[1] in COMPOSED])
def test_a_documented_command_composes(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command.partition(">")[0])[1:]
    verb = words.pop(0)
    if verb == "data":
        action = words.pop(0)
        if action in ("fingerprint", "overlap", "lookup"):
            pytest.skip("needs files; tests/data/test_overlap.py runs these")
        assert action in ("check", "stats", "audit")
    overrides = [word for word in words if word not in ("…", "--toml", "--keys")]
    if "--write-excluded" in overrides:
        position = overrides.index("--write-excluded")
        del overrides[position : position + 2]
    if "--from" in overrides:
        pytest.skip("needs a run; tests/cli runs --from")
    if "--site" in overrides:
        pytest.skip("needs a site file; tests/data/test_mapping.py runs --site")
    configs: list[Config] = []
    run_composed(verb, overrides, configs.append)
    assert configs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_verb_is_in_the_readme(capsys):
    main(["--help"])
    verbs = re.findall(r"^  (\w+) ", capsys.readouterr().out, re.MULTILINE)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert verbs == list(VERBS)
    assert all(f"`fedner {verb}" in readme for verb in verbs)


def test_every_event_has_an_example_line_with_its_keys():
    page = (ROOT / "docs" / "watching.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    examples = {line["event"]: set(line) - {"time"} for line in map(json.loads, block.splitlines())}
    assert examples == {kind.event: {entry.name for entry in fields(kind)} for kind in get_args(Event)}
