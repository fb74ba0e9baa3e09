"""A server that is reached over IPv6 alone, and its sites: the same bytes as a simulation."""

import socket

import pytest
from machines import config, new_federation

from fedner.simulation.running import run_in_process


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.deploy
@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_a_run_over_ipv6_ends_with_the_bytes_of_the_simulation(tmp_path, write_site):
    machines = new_federation(tmp_path, write_site, host="::1")
    try:
        machines.start_server("::1")
        for site in machines.sites:
            machines.start_site(site)
        machines.until_said("server", "event=site-online", len(machines.sites))
        machines.ask(
            "submit", "--at", f"127.0.0.1:{machines.control_port}", "model=tiny_random", "training.lr=0.01",
            "training.threads=1", "federation.rounds=1", "name=six",
        )  # fmt: skip
        there = machines.result("six")
        assert there["state_digest"] == run_in_process(config(1), tmp_path / "simulated").result.state_digest
    finally:
        for name in list(machines.processes):
            machines.stop(name)
