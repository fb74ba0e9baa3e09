"""A server with a page, as processes: what the coordinator, a site and a stranger are shown over TLS."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import yaml
from deployment import reserved_port, wait_until

from fedner.deployment.preflight.network import trusting
from fedner.deployment.provisioning.issuing import issue
from fedner.deployment.provisioning.kit import read_kit

FEDNER = [sys.executable, "-c", "from fedner.cli import main; raise SystemExit(main())"]
SECONDS = 600.0


def kits_in(folder: Path) -> Path:
    (folder / "labels.yaml").write_text("name: notes\nversion: 1\ntypes: {DRUG: a medicine}\n")
    ports = {name: reserved_port() for name in ("fleet", "control", "runtime", "health")}
    federation = {
        "name": "notes", "server": {"hosts": ["127.0.0.1"], "ports": ports}, "contract": "labels.yaml",
        "sites": [{"name": "northquay"}, {"name": "alderbrook"}],
    }  # fmt: skip
    (folder / "federation.yaml").write_text(yaml.safe_dump(federation))
    issue(folder / "federation.yaml", folder / "kits", datetime.now(UTC))
    return folder / "kits" / "notes"


@pytest.mark.deploy
def test_each_is_shown_what_is_theirs_by_a_server_with_a_page(tmp_path):
    kits, web, out = kits_in(tmp_path), reserved_port(), tmp_path / "out"
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"}

    def ask(kit: str, *options: str) -> str:
        command = [*FEDNER, "status", str(kits / kit), *options]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    with out.open("w") as told:
        arguments = ["server", str(kits / "server"), "--host", "127.0.0.1", "--state", "state", "--web", str(web)]
        server = subprocess.Popen([*FEDNER, *arguments], cwd=tmp_path, stdout=told, stderr=told, env=environment)
    try:
        wait_until(lambda: "event=ready" in out.read_text(), SECONDS)
        coordinator, site = json.loads(ask("coordinator", "--json")), json.loads(ask("site-northquay", "--json"))
        assert [each["name"] for each in coordinator["sites"]] == ["alderbrook", "northquay"]
        assert [each["name"] for each in site["sites"]] == ["northquay"]
        assert "alderbrook" not in json.dumps(site)
        passwords = [ask(kit, "--password").strip() for kit in ("coordinator", "site-northquay")]
        with httpx.Client(verify=trusting(read_kit(kits / "coordinator").ca_certificate)) as client:
            pages = [client.get(f"https://127.0.0.1:{web}/", auth=("", password)) for password in [*passwords, "no"]]
        assert [page.status_code for page in pages] == [200, 200, 401]
        assert ["alderbrook" in page.text for page in pages] == [True, False, False]
        assert not any(password in out.read_text() + log_of(tmp_path) for password in passwords)
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(120) == 0


def log_of(folder: Path) -> str:
    return (folder / "state" / "log" / "server.log").read_text()
