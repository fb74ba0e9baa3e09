"""A server and its sites as processes of their own, over TLS with registered keys: the same bytes as a simulation.

Every message to a site starts a process that imports a deep-learning stack, so that this takes minutes.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deployment import tree, wait_until
from machines import SECONDS, Machines, config, new_federation

from fedner.deployment.provisioning.issuing import revoke
from fedner.simulation.running import run_in_process

OVERRIDES = ["model=tiny_random", "training.lr=0.01", "training.threads=1", "federation.rounds=2"]


@pytest.fixture(scope="module")
def machines(tmp_path_factory, write_site) -> Iterator[Machines]:
    machines = new_federation(tmp_path_factory.mktemp("across"), write_site)
    try:
        machines.start_server()
        for site in machines.sites:
            machines.start_site(site)
        machines.until_said("server", "event=site-online", len(machines.sites))
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
    site = machines.sites[0]
    revoke(machines.kits, site, "left the federation", datetime.now(UTC))
    machines.stop("server")
    machines.start_server()
    machines.until_said("server", f"event=site-shut-out site={site}")
    stands = json.loads(machines.ask("status", "--json"))
    assert site not in {one["name"] for one in stands["sites"]}
