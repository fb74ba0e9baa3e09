"""A site listens to fedner's own app and to no other, whatever the archive looks like; it never unpacks it."""

import zipfile
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest

import fedner
from fedner.config.policy import AppsPolicy
from fedner.site.app_check import AnnouncedApp, judge_bundle

PACKAGE = Path(fedner.__file__).parent
PYPROJECT = """
[project]
name = "fedner-run"
version = "1.0.0"
[tool.flwr.app]
publisher = "fedner"
[tool.flwr.app.components]
serverapp = "fedner.server.coordinator:app"
clientapp = "fedner.site.app:app"
"""


def packed(files: dict[str, bytes | str]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def told(content: bytes, **changed: str) -> AnnouncedApp:
    said = {"name": "fedner/fedner-run", "version": "1.0.0", "digest": sha256(content).hexdigest()}
    return AnnouncedApp(**{**said, **changed})


def judged(files: dict[str, bytes | str], policy: AppsPolicy | None = None, **changed: str) -> str:
    content = packed(files)
    failure = judge_bundle(content, told(content, **changed), policy or AppsPolicy())
    return "" if failure is None else failure.sentence


def own() -> dict[str, bytes | str]:
    """The whole installed package, as `flwr run .` in a checkout ships it."""
    code = {path.relative_to(PACKAGE.parent).as_posix(): path.read_bytes() for path in PACKAGE.rglob("*.py")}
    return {"pyproject.toml": PYPROJECT, ".info/CONTENT": "", "README.md": "", **code}


def test_an_app_without_code_and_one_with_the_sites_own_code_are_listened_to():
    assert judged({"pyproject.toml": PYPROJECT}) == ""
    assert judged(own()) == ""


def changed_code(files: dict[str, bytes | str]) -> None:
    name = "fedner/site/app.py"
    files[name] = bytes(files[name]) + b"\nimport os\n"


def same_length(files: dict[str, bytes | str]) -> None:
    name = "fedner/site/app.py"
    files[name] = bytes(files[name]).replace(b"safe", b"sage", 1)


TAMPERED: list[tuple[Callable[[dict[str, bytes | str]], object], str]] = [
    (changed_code, "1 of its files differ"),
    (same_length, "1 of its files differ"),
    (lambda files: files.update({"fedner/extra.py": b""}), "not part of the fedner installed"),
    (lambda files: files.update({"sitecustomize.py": b""}), "not part of the fedner installed"),
    (lambda files: files.update({"a.pth": b"import os"}), "not part of the fedner installed"),
    (lambda files: files.update({"fedner/_x.so": b"\x7fELF"}), "not part of the fedner installed"),
    (lambda files: files.update({"docs/../../evil.md": b""}), "name or kind"),
    (lambda files: files.update({"/etc/cron.d/x": b""}), "name or kind"),
    (
        lambda files: files.update({"pyproject.toml": PYPROJECT.replace("site.app:app", "evil:app")}),
        "client app is not",
    ),
    (lambda files: files.update({"pyproject.toml": "[project]"}), "cannot be read"),
    (lambda files: files.update({"pyproject.toml": b"\xff\xfe"}), "cannot be read"),
    (lambda files: files.pop("pyproject.toml"), "cannot be read"),
    (lambda files: files.update({"pyproject.toml": " " * (2 << 20)}), "too large"),
]


@pytest.mark.parametrize(("tamper", "said"), TAMPERED, ids=[str(number) for number in range(len(TAMPERED))])
def test_a_tampered_app_is_refused(tamper, said: str):
    files = own()
    tamper(files)
    assert said in judged(files)


def test_a_second_file_of_one_name_is_refused():
    # Two entries of as long names, the second renamed in the archive's bytes to the first.
    evil = PYPROJECT.replace("site.app:app", "evil:app")
    content = packed({"pyproject.toml": PYPROJECT, "pyprojekt.toml": evil}).replace(b"pyprojekt", b"pyproject")
    assert zipfile.ZipFile(BytesIO(content)).namelist() == ["pyproject.toml"] * 2
    assert judge_bundle(content, told(content), AppsPolicy()) is not None


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip" * 100, b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_is_refused(content: bytes):
    assert judge_bundle(content, told(content), AppsPolicy()) is not None


@pytest.mark.parametrize("change", [{"name": "fedner/other"}, {"version": "2.0.0"}, {"digest": "0" * 64}])
def test_an_app_that_is_not_what_the_server_announced_is_refused(change: dict[str, str]):
    assert "announced" in judged({"pyproject.toml": PYPROJECT}, **change)


def test_the_policy_names_whose_apps_are_listened_to():
    files: dict[str, bytes | str] = {"pyproject.toml": PYPROJECT}
    mine = told(packed(files)).digest
    assert "its name is not among" in judged(files, AppsPolicy(names=["hospital/ours"]))
    assert "its version is not among" in judged(files, AppsPolicy(versions=["1.0.1"]))
    assert "its hash is not among" in judged(files, AppsPolicy(hashes=["0" * 64]))
    assert judged(files, AppsPolicy(versions=["1.0.0"], hashes=[mine])) == ""
