"""A server and its sites as processes of their own, over TLS with registered keys: the same bytes as a simulation.

Every message to a site starts a process that imports a deep-learning stack, so that this takes minutes.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from deployment import free_port, tree, wait_until

from fedner.config import Config, from_plain
from fedner.data.labels import contract_from_config, write_contract
from fedner.data.sites import load_sites
from fedner.federation.local_grid import run_in_process
from fedner.sites.provision import issue, revoke

FEDNER = [sys.executable, "-c", "from fedner.cli import main; raise SystemExit(main())"]
SECONDS = 1200.0
OVERRIDES = ["model=tiny_random", "training.lr=0.01", "training.threads=1", "federation.rounds=2"]


def config() -> Config:
    types = {name: f"a {name.lower()}" for name in ("PATIENT", "DRUG", "DOSE", "DATE", "HOSPITAL")}
    contract = {"name": "notes", "version": 1, "types": types}
    documents = {"train_documents": 24, "dev_documents": 8, "test_documents": 8}
    return from_plain(
        {
            "data": {"kind": "synthetic", "institutions": 2, "contract": contract, **documents},
            "partition": {"kind": "natural"},
            "aggregation": {"kind": "fedavg"},
            "model": {"name": "tiny-random"},
            "training": {"lr": 0.01, "threads": 1},
            "federation": {"rounds": 2, "min_sites": 2},
        }
    )


@dataclass
class Machines:
    """Kits and processes; each process is a machine, with a folder of its own."""

    folder: Path
    kits: Path
    processes: dict[str, subprocess.Popen]

    def start(self, name: str, *arguments: str) -> None:
        place = self.folder / name
        place.mkdir(exist_ok=True)
        with (place / "out").open("a") as out:
            self.processes[name] = subprocess.Popen(
                [*FEDNER, *arguments], cwd=place, stdout=out, stderr=out, env=environment()
            )

    def start_server(self) -> None:
        self.start("server", "server", str(self.kits / "server"), "--host", "127.0.0.1", "--state", "state")

    def start_site(self, site: str) -> None:
        file = self.folder / "text" / site / "site.yaml"
        self.start(site, "client", str(self.kits / f"site-{site}"), "--site", str(file), "--state", "state")

    def said(self, name: str) -> str:
        return (self.folder / name / "out").read_text()

    def until_said(self, name: str, words: str, times: int = 1) -> None:
        def said() -> bool:
            assert self.processes[name].poll() is None, self.said(name)
            return self.said(name).count(words) >= times

        wait_until(said, SECONDS)

    def ask(self, verb: str, *arguments: str) -> str:
        command = [*FEDNER, verb, str(self.kits / "coordinator"), *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=environment(), capture_output=True, text=True, check=True
        ).stdout

    def stop(self, name: str) -> int:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(120)


def environment() -> dict[str, str]:
    return {**os.environ, "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def machines(tmp_path_factory, write_site) -> Iterator[Machines]:
    folder = tmp_path_factory.mktemp("across")
    shards = load_sites(config().data, config().partition).shards
    for shard in shards:
        write_site(shard, folder / "text" / shard.site)
    write_contract(contract_from_config(config().data.contract), folder / "labels.yaml")
    ports = {name: free_port() for name in ("fleet", "control", "runtime", "health")}
    federation = {
        "name": "notes", "server": {"hosts": ["127.0.0.1"], "ports": ports}, "contract": "labels.yaml",
        "sites": [{"name": shard.site} for shard in shards],
    }  # fmt: skip
    (folder / "federation.yaml").write_text(yaml.safe_dump(federation))
    issue(folder / "federation.yaml", folder / "kits", datetime.now(UTC))
    machines = Machines(folder, folder / "kits" / "notes", {})
    try:
        machines.start_server()
        for shard in shards:
            machines.start_site(shard.site)
        machines.until_said("server", "event=site-online", len(shards))
        yield machines
    finally:
        for name in list(machines.processes):
            machines.stop(name)


@pytest.mark.deploy
def test_a_run_across_sites_ends_with_the_bytes_of_the_simulation_and_its_report_is_fetched(machines, tmp_path):
    machines.ask("submit", *OVERRIDES, "name=first", "--follow")
    machines.ask("fetch", "first")
    here = run_in_process(replace(config(), name="first"), tmp_path / "simulated")
    fetched = machines.folder / "runs" / "first"
    there = json.loads((fetched / "result.json").read_text())
    assert there["state_digest"] == here.result.state_digest
    assert there["test"] == here.result.test.to_json()
    weights = "model/model.safetensors"
    assert (fetched / weights).read_bytes() == (tmp_path / "simulated" / weights).read_bytes()
    assert (fetched / "report" / "index.html").is_file()
    stands = json.loads(machines.ask("status", "--json"))
    assert [(run["progress"]["status"], len(run["sites"])) for run in stands["runs"]] == [("finished", 2)]
    assert all(site["online"] for site in stands["sites"])


@pytest.mark.deploy
def test_a_stopped_server_leaves_no_process_and_a_stopped_run_goes_on_to_the_same_bytes(machines, tmp_path):
    machines.ask("submit", *OVERRIDES, "name=second")
    history = machines.folder / "server" / "state" / "runs" / "second" / "history.jsonl"
    wait_until(lambda: history.exists() and '"round evaluated"' in history.read_text(), SECONDS)
    processes = tree(machines.processes["server"].pid)
    assert machines.stop("server") == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes)
    before = machines.said("server").count("event=site-online")
    machines.start_server()
    machines.until_said("server", "event=site-online", before + 2)
    assert "event=run-unfinished run=second rounds=1/2" in machines.said("server")
    machines.ask("submit", "--resume", "second", "--follow")
    machines.ask("fetch", "second")
    there = json.loads((machines.folder / "runs" / "second" / "result.json").read_text())
    assert there["state_digest"] == run_in_process(config(), tmp_path / "simulated").result.state_digest


@pytest.mark.deploy
def test_a_revoked_site_is_shut_out_when_the_server_starts_again(machines):
    site = sorted(path.name for path in (machines.folder / "text").iterdir())[0]
    revoke(machines.kits, site, "left the federation", datetime.now(UTC))
    machines.stop("server")
    machines.start_server()
    machines.until_said("server", f"event=site-shut-out site={site}")
    stands = json.loads(machines.ask("status", "--json"))
    assert site not in {one["name"] for one in stands["sites"]}
