"""What can be fetched from a server's run directories, and what cannot."""

import asyncio
import hashlib

import httpx
import pytest

from fedner.deployment.service.downloads import downloads

STARTED = '{"time": "2026-01-01T00:00:00+00:00", "event": "run started", "run": "first", "rounds": 3}\n'
SCORED = '{"time": "2026-01-01T00:01:00+00:00", "event": "round evaluated", "round": 1, "rounds": 3}\n'


@pytest.fixture
def runs(tmp_path):
    run = tmp_path / "runs" / "first"
    (run / "model").mkdir(parents=True)
    (run / "checkpoints").mkdir()
    (run / "history.jsonl").write_text(STARTED + SCORED)
    (run / "model" / "config.json").write_text("{}")
    (run / "checkpoints" / "secret").write_text("not to be had")
    (tmp_path / "runs" / "other").write_text("no run")
    (run / "model" / "link").symlink_to("/etc/passwd")
    return tmp_path / "runs"


def ask(runs, path: str, token: str = "secret") -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(downloads(runs, lambda header: header == "Bearer secret"))
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
            return await client.get(f"/fedner/v1/{path}")

    return asyncio.run(asked())


def test_runs_say_how_far_they_are(runs):
    assert ask(runs, "runs").json() == [
        {"name": "first", "finished": False, "rounds": 1, "wanted": 3, "began": "2026-01-01T00:00:00+00:00"}
    ]
    assert [event["event"] for event in ask(runs, "runs/first/history").json()] == ["run started", "round evaluated"]
    assert [event["event"] for event in ask(runs, "runs/first/history?after=1").json()] == ["round evaluated"]


def test_a_finished_model_and_the_history_are_offered_with_their_digests_and_nothing_else_is(runs):
    digest = hashlib.sha256(b"{}").hexdigest()
    offered = {file["path"]: file["sha256"] for file in ask(runs, "runs/first/files").json()}
    assert offered.keys() == {"history.jsonl", "model/config.json"}
    assert offered["model/config.json"] == digest
    assert ask(runs, "runs/first/files/model/config.json").content == b"{}"


@pytest.mark.parametrize(
    "path",
    [
        "runs/first/files/checkpoints/secret",
        "runs/first/files/model/../checkpoints/secret",
        "runs/first/files/model/%2e%2e/checkpoints/secret",
        "runs/first/files//etc/passwd",
        "runs/first/files/model/link",
        "runs/../first/files",
        "runs/%2e%2e/files",
        "runs/..%2fruns%2ffirst/files",
        "runs/other/files",
        "runs/first/history?after=-1",
        "runs/first/history?after=x",
    ],
)
def test_nothing_but_what_is_offered_can_be_had(runs, path):
    assert ask(runs, path).status_code == 404


@pytest.mark.parametrize("path", ["runs", "runs/first/history", "runs/first/files", "runs/first/files/history.jsonl"])
@pytest.mark.parametrize("token", ["", "Secret"])
def test_nothing_is_told_without_the_token(runs, path, token):
    assert ask(runs, path, token).status_code == 401
