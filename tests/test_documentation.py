"""Every fedner command in the README and the docs composes; every file that they name is there."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import get_args

import flwr
import pytest

from fedner.cli import main
from fedner.cli.compose import run_composed
from fedner.cli.main import VERBS, parser_of
from fedner.config import Config
from fedner.records.events import Event

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
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


def test_every_verb_and_action_is_on_the_page_of_verbs(capsys):
    main(["--help"])
    verbs = re.findall(r"^  (\w+) ", capsys.readouterr().out, re.MULTILINE)
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert verbs == list(VERBS)
    assert re.findall(r"^\| `fedner (\w+)", page, re.MULTILINE) == verbs
    assert all(f"`{verb} {action}" in page for verb in verbs for action in parser_of(verb).actions)


@pytest.mark.slow
def test_the_blocks_of_the_python_page_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) > 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)


@pytest.mark.slow
def test_the_notebook_runs_in_a_new_process(tmp_path):
    """Cell by cell in one namespace; a cell's last line is shown, as a notebook does."""
    code = f"""
import ast, json
names = {{}}
for cell in json.load(open({str(ROOT / "docs" / "quickstart.ipynb")!r}))["cells"]:
    if cell["cell_type"] == "code":
        assert cell["outputs"] == [] and cell["execution_count"] is None, "stored without outputs"
        lines = ast.parse("".join(cell["source"])).body
        last = lines.pop() if isinstance(lines[-1], ast.Expr) else None
        exec(compile(ast.Module(lines, []), "cell", "exec"), names)
        if last is not None:
            shown = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
            print(shown._repr_html_() if hasattr(shown, "_repr_html_") else repr(shown))
"""
    root = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("<table") >= 3
    assert "PRF(precision=" in done.stdout
    assert (tmp_path / "runs" / "notebook" / "report" / "index.html").exists()


def test_every_event_has_an_example_line_with_its_keys():
    page = (ROOT / "docs" / "watching.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    examples = {line["event"]: set(line) - {"time", "event"} for line in map(json.loads, block.splitlines())}
    assert examples == {kind.event: {entry.name for entry in fields(kind)} for kind in get_args(Event)}


def test_every_message_in_troubleshooting_is_one_of_the_code():
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| `([^`]+)`", page, re.MULTILINE)
    sources = [path for part in SPEAKING for path in (ROOT / "fedner" / part).rglob("*.py")]
    sources += [Path(flwr.__path__[0]) / place for place in FLOWERS]
    told = [text for path in sources for text in texts(path)]
    assert len(cells) > 50
    for cell in cells:
        # What a refusal's code is stands apart in the code; so does an event's name.
        message = re.sub(r"^(?:[a-z]+(?:-[a-z]+)?: (?=[a-z])|event=)", "", cell)
        parts = [part for part in re.split("…|'…'", message) if part.strip()]
        pattern = re.compile(".*?".join(map(re.escape, parts)))
        assert any(parts[0] in text and pattern.search(text) for text in told), cell


SPEAKING = ("audit", "cli", "config", "deployment", "flower", "protocol", "records", "server", "simulation", "site")
FLOWERS = ("supercore/error/catalog.py", "supercore/retry/http_retry.py", "superlink/routers/fleet/node_auth.py")
"""Where fedner and Flower keep what they say to a coordinator or a site."""


def texts(path: Path) -> list[str]:
    """Return the texts in a module's code, with … for what is put into them."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr | ast.Constant):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            pieces = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts]
            found.append("".join(pieces).replace("\n", " "))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_is_there(page):
    tests = {path.relative_to(ROOT / "tests").as_posix(): path.read_text() for path in (ROOT / "tests").rglob("*.py")}
    text = page.read_text(encoding="utf-8").replace("`e2e/", "`end_to_end/")
    for file, name in re.findall(r"`((?:\w+/)*test_\w+\.py)(?:::(test_\w+))?", text):
        bodies = [body for path, body in tests.items() if path == file or path.endswith(f"/{file}")]
        wanted = f"def {name}(" if name else "def test_"
        assert any(wanted in body for body in bodies), f"{file}::{name}"
