"""Flower's internals are imported in fedner/flower alone, each of them once checked by test_internals."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import fedner

from .test_internals import FUNCTIONS, METHODS, NAMES

PUBLIC = {"flwr.app", "flwr.clientapp", "flwr.serverapp"}
PACKAGE = Path(fedner.__file__).parent


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield module and name of everything that a file imports from Flower, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "flwr":
            yield from ((str(node.module), alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.partition(".")[0] == "flwr")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_no_module_outside_fedner_flower_imports_an_internal_of_flower():
    outside = [path for path in modules() if not path.is_relative_to(PACKAGE / "flower")]
    found = {(path.relative_to(PACKAGE).as_posix(), module) for path in outside for module, _ in imports(path)}
    assert len(found) > 10  # the walk sees what there is
    assert {each for each in found if each[1] not in PUBLIC} == set()


def test_fedner_flower_imports_nothing_of_fedner_above_it():
    for path in (PACKAGE / "flower").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("fedner"):
                assert str(node.module).startswith(("fedner.flower.", "fedner.errors", "fedner.files")), path


@pytest.mark.parametrize("path", sorted((PACKAGE / "flower").glob("*.py")), ids=lambda path: path.stem)
def test_every_internal_that_is_imported_is_asserted(path: Path):
    asserted = {(module, name) for module, name in (*NAMES, *FUNCTIONS)} | {each[:2] for each in METHODS}
    internal = {each for each in imports(path) if each[0] not in PUBLIC}
    assert internal - asserted == set()
