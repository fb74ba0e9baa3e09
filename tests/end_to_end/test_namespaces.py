"""A server and two sites, each in a network of its own, joined by links that are down, slow, or lead to a proxy alone.

Needs root and the command `ip`; where network namespaces are not permitted this is skipped, and says so.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from machines import Machines, config, new_federation

from fedner.deployment.provisioning.kit import read_kit
from fedner.simulation.running import run_in_process

pytestmark = pytest.mark.deploy
SERVER = "10.77.0.1"
DOWN_SECONDS = 70.0
"""Longer than Flower takes to give a silent site up."""
SLOW = "1mbit"
TUNNEL = Path(__file__).parent / "tunnel.py"
REACHED = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5).close()"


@dataclass(frozen=True)
class Networks:
    """A namespace for each machine; the server has a link to each site, and forwards nothing between them."""

    mark: str
    sites: list[str]

    def named(self, machine: str) -> str:
        return f"fedner-{self.mark}-{machine}"

    def link(self, site: str) -> str:
        return f"to{self.sites.index(site)}"

    def build(self) -> None:
        for machine in ("server", *self.sites):
            ip("netns", "add", self.named(machine))
            self.at(machine, "link", "set", "lo", "up")
        self.at("server", "address", "add", f"{SERVER}/32", "dev", "lo")
        for number, site in enumerate(self.sites, start=1):
            link = self.link(site)
            self.at("server", "link", "add", link, "type", "veth", "peer", "name", "up0", "netns", self.named(site))
            for machine, device, address in (("server", link, 1), (site, "up0", 2)):
                self.at(machine, "address", "add", f"10.77.{number}.{address}/30", "dev", device)
                self.at(machine, "link", "set", device, "up")
            self.at(site, "route", "add", "default", "via", f"10.77.{number}.1")

    def remove(self) -> None:
        for machine in ("server", *self.sites):
            subprocess.run(["ip", "netns", "delete", self.named(machine)], stderr=subprocess.DEVNULL, check=False)

    def at(self, machine: str, *words: str) -> None:
        ip("-n", self.named(machine), *words)

    def inside(self, machine: str) -> list[str]:
        return ["ip", "netns", "exec", self.named(machine)]

    def reaches(self, machine: str, address: str, port: int) -> bool:
        command = [*self.inside(machine), sys.executable, "-c", REACHED, address, str(port)]
        return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def permitted() -> bool:
    if shutil.which("ip") is None or os.geteuid() != 0:
        return False
    name = f"fedner-{os.getpid()}-trial"
    made = subprocess.run(["ip", "netns", "add", name], stderr=subprocess.DEVNULL, check=False).returncode == 0
    subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL, check=False)
    return made


@pytest.fixture(scope="module")
def joined(tmp_path_factory, write_site) -> Iterator[tuple[Machines, Networks]]:
    if not permitted():
        pytest.skip("network namespaces are not permitted here: this needs root, CAP_NET_ADMIN and the command `ip`")
    machines = new_federation(tmp_path_factory.mktemp("networks"), write_site, host=SERVER)
    networks = Networks(str(os.getpid()), machines.sites)
    try:
        networks.build()
        machines.inside = {machine: networks.inside(machine) for machine in ("server", *machines.sites)}
        machines.start_server("0.0.0.0")
        for site in machines.sites:
            machines.start_site(site)
        machines.until_said("server", "event=site-online", len(machines.sites))
        yield machines, networks
    finally:
        for name in list(machines.processes):
            machines.kill(name)
        networks.remove()


def test_a_site_reaches_the_sites_listener_and_nothing_else(joined):
    machines, networks = joined
    ports = read_kit(machines.kits / "server").ports
    first = machines.sites[0]
    assert networks.reaches(first, SERVER, ports.fleet)
    for port in (ports.control, ports.runtime, ports.health):
        assert not networks.reaches(first, SERVER, port)
        assert networks.reaches("server", "127.0.0.1", port)
    with socket.create_server(("127.0.0.1", 0)) as here:
        assert not networks.reaches(first, "127.0.0.1", here.getsockname()[1])  # another machine's loopback


def test_a_link_that_is_down_until_the_site_is_given_up_costs_nothing(joined, tmp_path):
    machines, networks = joined
    site = machines.sites[0]
    submit(machines, "across", rounds=3)
    machines.until_event("across", "round started", 2)
    networks.at("server", "link", "set", networks.link(site), "down")
    time.sleep(DOWN_SECONDS)
    networks.at("server", "link", "set", networks.link(site), "up")
    there = machines.result("across")
    assert there["state_digest"] == run_in_process(config(3), tmp_path / "simulated").result.state_digest
    assert machines.said("server").count(f"event=site-online site={site}") == 2


@pytest.mark.skipif(shutil.which("tc") is None, reason="needs the command `tc`")
def test_a_slow_link_costs_time_and_nothing_else(joined, tmp_path):
    machines, networks = joined
    site = machines.sites[0]
    ends = ((site, "up0"), ("server", networks.link(site)))
    for machine, device in ends:
        shape = ["tbf", "rate", SLOW, "burst", "16kb", "latency", "400ms"]
        subprocess.run([*networks.inside(machine), "tc", "qdisc", "add", "dev", device, "root", *shape], check=True)
    try:
        submit(machines, "slow", rounds=1)
        there = machines.result("slow")
    finally:
        for machine, device in ends:
            subprocess.run([*networks.inside(machine), "tc", "qdisc", "delete", "dev", device, "root"], check=True)
    assert there["state_digest"] == run_in_process(config(1), tmp_path / "simulated").result.state_digest


def test_a_site_that_gets_out_through_a_proxy_alone_takes_part(joined, tmp_path):
    machines, networks = joined
    site, number = machines.sites[1], 2
    gate, port = f"10.77.{number}.1", 3128
    fleet = read_kit(machines.kits / "server").ports.fleet
    machines.stop(site)
    networks.at(site, "route", "delete", "default")
    assert not networks.reaches(site, SERVER, fleet)
    with (tmp_path / "tunnels").open("w") as told:
        command = [*networks.inside("server"), sys.executable, str(TUNNEL), gate, str(port)]
        proxy = subprocess.Popen(command, stdout=told)
    try:
        online = machines.said("server").count(f"event=site-online site={site}")
        machines.variables[site] = {"HTTPS_PROXY": f"http://{gate}:{port}", "NO_PROXY": "127.0.0.1"}
        machines.start_site(site)
        machines.until_said("server", f"event=site-online site={site}", online + 1)
        submit(machines, "proxied", rounds=1)
        there = machines.result("proxied")
    finally:
        proxy.kill()
        proxy.wait()
    assert there["state_digest"] == run_in_process(config(1), tmp_path / "simulated").result.state_digest
    assert f"CONNECT {SERVER}:{fleet} HTTP/1.1" in (tmp_path / "tunnels").read_text().splitlines()


def submit(machines: Machines, name: str, rounds: int) -> None:
    machines.ask(
        "submit", "--at", f"127.0.0.1:{machines.control_port}", "model=tiny_random", "training.lr=0.01",
        "training.threads=1", f"federation.rounds={rounds}", "federation.min_sites=2", "federation.missed_quorum=retry",
        "federation.retries=20", f"name={name}",
    )  # fmt: skip
