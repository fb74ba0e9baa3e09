"""What starts before torch: help, the configuration, completion and usage errors import nothing heavy."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fedner.cli.main import VERBS, imported, parser_of

HEAVY = ("torch", "transformers", "flwr", "matplotlib", "datasets")
PROBE = f"""
import json, sys
from fedner.cli import main
status = main(sys.argv[1:])
print(json.dumps([status, [name for name in {HEAVY} if name in sys.modules]]), file=sys.stderr)
"""


def started(*words: str) -> tuple[int, list[str]]:
    """Return the exit status of a command line in a new process, and which heavy packages it imported."""
    done = subprocess.run([sys.executable, "-c", PROBE, *words], capture_output=True, text=True, check=True)
    status, found = json.loads(done.stderr.splitlines()[-1])
    return status, found


@pytest.mark.parametrize(
    "words",
    ["--help", "--version", "config experiment=smoke", "config --keys", "completion --words=fedner"],
)
def test_what_needs_no_model_imports_no_heavy_package(words):
    assert started(*words.split()) == (0, [])


@pytest.mark.parametrize("words", ["simulat", "simulate training.lrr=1", "compare --frm runs/x", "predict"])
def test_a_usage_error_imports_no_heavy_package(words):
    assert started(*words.split()) == (2, [])


def test_no_verbs_help_imports_a_heavy_package():
    code = (
        "import sys; from fedner.cli.main import VERBS, main\n"
        "assert [main([verb, '--help']) for verb in VERBS] == [0] * len(VERBS)\n"
        f"assert not [name for name in {HEAVY} if name in sys.modules]"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


def test_every_parser_names_work_that_can_be_imported():
    for verb in VERBS:
        parser = parser_of(verb)
        leaves = [*parser.actions.values(), *([] if parser.get_default("run") is None else [parser])]
        named = {leaf.get_default("run") for leaf in leaves}
        named |= {action.const for leaf in leaves for action in leaf._actions if action.dest == "run"}
        assert named
        assert all(callable(imported(name)) for name in named)


def test_python_m_fedner_is_the_command_line():
    done = subprocess.run([sys.executable, "-m", "fedner", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("fedner ")


@pytest.fixture
def program(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which `fedner` is this package's, in an empty folder."""
    (tmp_path / "bin").mkdir()
    place = tmp_path / "bin" / "fedner"
    place.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fedner "$@"\n')
    place.chmod(0o755)
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": root}


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("fedner comp", ["compare", "completion"]),
        ("fedner data ch", ["check"]),
        ("fedner audit ", ["head", "verify"]),
        ("fedner provision rotate kits --fi", ["--finish"]),
        ("fedner predict model --format b", ["bioc", "brat"]),
        ("fedner simulate experiment=smo", ["smoke"]),  # bash replaces what follows the =
        ("fedner compare federation.rou", ["federation.rounds="]),
        ("fedner config training.precision=fp", ["fp16", "fp32"]),
        ("fedner predict nowhere", []),
    ],
)
def test_bash_completes_a_line(program, line, completed):
    script = (
        'source <(fedner completion bash); compopt() { :; }; COMP_LINE="$1"; COMP_POINT=${#COMP_LINE}; _fedner\n'
        'for word in "${COMPREPLY[@]}"; do [[ -n $word ]] && echo "$word"; done; true'
    )
    done = subprocess.run(["bash", "-c", script, "bash", line], env=program, capture_output=True, text=True, check=True)
    assert done.stdout.split() == completed


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_registers_the_completion(program):
    script = "source <(fedner completion bash); complete -p fedner"
    done = subprocess.run(["bash", "-c", script], env=program, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["complete", "-o", "default", "-F", "_fedner", "fedner"]


@pytest.mark.parametrize(("shell", "check"), [("zsh", "zsh -n"), ("fish", "fish --no-execute")])
def test_other_shells_can_read_their_script(program, shell, check, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    script = subprocess.run(["fedner", "completion", shell], env=program, capture_output=True, check=True).stdout
    (tmp_path / "script").write_bytes(script)
    subprocess.run([*check.split(), str(tmp_path / "script")], check=True)


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish")
@pytest.mark.parametrize(
    ("line", "completed"),
    [("fedner data ch", "check"), ("fedner simulate experiment=smo", "experiment=smoke")],
)
def test_fish_completes_a_line(program, line, completed, tmp_path):
    script = f"fedner completion fish | source; complete -C '{line}'"
    done = subprocess.run(["fish", "-c", script], env=program, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [completed]
