"""Real Flower processes on loopback: a site answers with its own fedner, and runs nothing of what the server sends."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from deployment import Deployment, deployment, reserved_port, wait_until

from fedner.audit.verification import verify
from fedner.config import Config, dumps, from_plain
from fedner.data.labels import contract_from_config, write_contract
from fedner.flower.app_bundle import description

EVIL = """
from pathlib import Path
Path({marker!r}).write_text("ran")
from fedner.site.app import app as own
app = own
"""
TEXT = "-DOCSTART- O\n\nAda B-PER\nsang O\n\n-DOCSTART- O\n\nin O\nRome B-LOC\n"


def run_config() -> Config:
    contract = {"name": "small", "version": 1, "types": {"PER": "Person", "LOC": "Place"}}
    return from_plain(
        {
            "name": "real",
            "data": {"kind": "at_sites", "contract": contract},
            "partition": {"kind": "natural"},
            "aggregation": {"kind": "fedavg"},
            "model": {"name": "tiny-random"},
            "training": {"lr": 0.01, "threads": 1},
            "federation": {"rounds": 1, "min_sites": 1, "wait_seconds": 240},
        }
    )


def start_site(running: Deployment, root: Path) -> None:
    """Start a SuperNode and, beside it, the process that answers for it, as `fedner client` does."""
    root.mkdir()
    for split in ("train", "dev", "test"):
        (root / f"{split}.conll").write_text(TEXT)
    files = {split: [f"{split}.conll"] for split in ("train", "dev", "test")}
    (root / "site.yaml").write_text(yaml.safe_dump({"site": "north", "data": files}))
    write_contract(contract_from_config(run_config().data.contract), root / "contract.yaml")
    port = reserved_port()
    named = f'site-file="{root}/site.yaml" contract="{root}/contract.yaml" memory-of-runs="{root}/memory"'
    node = ["flower-supernode", "--insecure", "--superlink", f"127.0.0.1:{running.port}", "--isolation", "process"]
    running.spawn([*node, "--port", str(port), "--node-config", named], "supernode.log")
    answering = [sys.executable, "-P", "-m", "fedner.site.worker"]
    running.spawn([*answering, "--runtime-api-address", f"127.0.0.1:{port}"], "site-process.log")


def submit(running: Deployment, app: Path) -> None:
    given = f"config = '''{dumps(run_config())}'''\nfolder = '{running.folder}'\nresume = false\n"
    (running.folder / "run.toml").write_text(given)
    command = ["flwr", "run", str(app), "ours", "--stream", "--run-config", str(running.folder / "run.toml")]
    running.spawn(command, f"{app.name}.log")


def app_folder(root: Path, tampered: bool) -> Path:
    root.mkdir()
    text = description()
    if tampered:
        text = text.replace('clientapp = "fedner.site.app:app"', 'clientapp = "evil:app"')
        (root / "evil.py").write_text(EVIL.format(marker=str(root.parent / "marker")))
    (root / "pyproject.toml").write_text(text)
    return root


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("trust")
    with deployment(folder, 0) as started:
        start_site(started, folder / "north")
        yield started


def trail(running: Deployment) -> list[dict]:
    path = running.folder / "north" / "audit.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def has(running: Deployment, event: str) -> bool:
    return any(line["event"] == event for line in trail(running))


@pytest.mark.deploy
def test_a_tampered_app_is_refused_recorded_and_nothing_of_it_runs(running: Deployment):
    submit(running, app_folder(running.folder / "tampered", tampered=True))
    wait_until(lambda: has(running, "app refused"), 300)
    refused = next(line for line in trail(running) if line["event"] == "app refused")
    assert refused["app"] == "fedner/fedner-run"
    assert "its client app is not fedner.site.app:app" in refused["reason"]
    history = running.folder / "runs" / "real" / "history.jsonl"
    log = running.folder / "tampered.log"
    wait_until(lambda: "a site cannot take part: app:" in log.read_text(), 120)
    assert '"site joined"' not in history.read_text(encoding="utf-8")
    assert not (running.folder / "marker").exists()
    assert not has(running, "asked")
    assert verify(running.folder / "north" / "audit.jsonl").sound


@pytest.mark.deploy
def test_the_same_processes_then_answer_an_honest_app(running: Deployment):
    (running.folder / "runs" / "real").rename(running.folder / "refused-run")
    submit(running, app_folder(running.folder / "honest", tampered=False))
    result = running.folder / "runs" / "real" / "result.json"
    wait_until(result.exists, 300)
    lines = trail(running)
    honest = lines[next(place for place, line in enumerate(lines) if line["event"] == "asked") :]
    assert [line["event"] for line in honest] == ["asked", "answered"] * 4  # hello, train, dev, test
    server = running.folder / "runs" / "real" / "audit.jsonl"
    assert verify(server).sound
    received = [json.loads(line) for line in server.read_text(encoding="utf-8").splitlines()]
    digests = [line["digest"] for line in received if line["event"] == "received"]
    assert digests == [line["digest"] for line in honest if line["event"] == "answered"][1:]
