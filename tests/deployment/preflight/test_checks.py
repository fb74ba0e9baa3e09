"""The check before the start, against a real TLS server on loopback: each thing that can be wrong is named."""

import json
import socket
import threading
from datetime import datetime, timedelta

import pytest

from fedner.cli.main import main
from fedner.deployment.preflight.checks import preflight
from fedner.deployment.preflight.findings import Finding, State
from fedner.deployment.preflight.network import compare_clocks, reach
from fedner.deployment.provisioning.keys import make_site_key
from fedner.deployment.provisioning.kit import read_kit
from fedner.deployment.provisioning.signing import verify

from ..conftest import NOW, issue_kits, tls_server

CORPUS = "Aspirin B-DRUG\n100 B-DOSE\nmg I-DOSE\n\nNothing O\n"


def clock() -> datetime:
    return NOW


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def kits(tmp_path, reserve_port):
    """Kits of a federation whose server is this machine."""
    fleet, control, runtime, health = (reserve_port() for _ in range(4))
    text = f"""\
name: cardio
server:
  hosts: [localhost, 127.0.0.1]
  ports: {{fleet: {fleet}, control: {control}, runtime: {runtime}, health: {health}}}
contract: labels.yaml
sites: [{{name: north}}]
"""
    return issue_kits(tmp_path, text=text)


def site_file(folder, site="north", corpus=CORPUS):
    (folder / "train.conll").write_text(corpus)
    names = "\n".join(f"  {split}: [train.conll]" for split in ("train", "dev", "test"))
    (folder / "site.yaml").write_text(f"site: {site}\ndata:\n{names}\n")
    return folder / "site.yaml"


def by_check(findings) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


def failures(findings) -> set[str]:
    return {finding.check for finding in findings if finding.state is State.failed}


def test_a_site_that_is_ready_is_told_so(kits, tmp_path):
    kit = read_kit(kits / "site-north")
    with tls_server(kits / "server", kit.ports.fleet):
        found = preflight(kit, site_file(tmp_path), clock)
    assert failures(found) - {"disk"} == set()
    assert {"kit", "fedner", "flwr", "python", "ca.crt", "key", "name", "port", "TLS", "clock", "registered",
            "site file", "text", "GPU", "disk"} == set(by_check(found))  # fmt: skip
    texts = [finding.found for finding in found if finding.check == "text"]
    # By hand: two sentences, each a document since nothing marks one; a DRUG and a DOSE.
    assert "train: 2 documents, 2 sentences, 2 entities" in texts


def test_every_failure_says_what_to_do(kits, tmp_path):
    kit = read_kit(kits / "site-north")
    kit.site_key.unlink()
    found = preflight(kit, site_file(tmp_path, corpus="Aspirin B-DRUGS\n"), clock)
    assert failures(found) - {"disk"} == {"kit", "key", "port", "text"}
    assert all(finding.remedy for finding in found if finding.state in (State.failed, State.warning))
    assert "DRUGS" in next(finding.found for finding in found if finding.check == "text")


def test_keys_that_do_not_fit_are_found(kits, tmp_path):
    kit = read_kit(kits / "site-north")
    private, _ = make_site_key("north", tmp_path / "other")
    kit.site_key.write_bytes(private.read_bytes())
    kit.site_key.chmod(0o644)
    found = by_check(preflight(kit, None, clock))
    assert "is not the private key of north.pub" in found["key"].found
    assert "chmod 600" in found["permissions"].remedy
    assert found["text"].state is State.skipped
    kit.site_key.write_bytes(b"-----BEGIN RSA PRIVATE KEY-----\n")
    assert "got none that can be read" in by_check(preflight(kit, None, clock))["key"].found


def test_another_sites_site_file_is_refused(kits, tmp_path):
    found = by_check(preflight(read_kit(kits / "site-north"), site_file(tmp_path, "south"), clock))
    assert "expected 'north', whose kit this is, got 'south'" in found["site file"].found


@pytest.mark.parametrize(
    ("package", "state"), [("fedner", State.failed), ("flwr", State.failed), ("python", State.warning)]
)
def test_another_version_than_the_kits_is_named(kits, package, state):
    file = kits / "site-north" / "kit.yaml"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(f"{package}: '9.9'" if line.startswith(f"{package}:") else line for line in lines))
    found = by_check(preflight(read_kit(kits / "site-north"), None, clock))[package]
    assert (found.state, "9.9" in found.found + found.remedy) == (state, True)


@pytest.mark.parametrize(
    ("days", "state", "said"),
    [(-1, State.failed, "holds from"), (350, State.warning, "14 days"), (366, State.failed, "expired on")],
)
def test_certificate_dates_are_compared_with_the_clock(kits, days, state, said):
    kit = read_kit(kits / "server")
    found = by_check(preflight(kit, None, lambda: NOW + timedelta(days=days, hours=1)))["server.crt"]
    assert found.state is state
    assert said in found.found


def test_the_servers_ports_are_free_taken_or_its_own(kits):
    kit = read_kit(kits / "server")
    assert failures(preflight(kit, None, clock)) <= {"disk"}
    with socket.create_server(("127.0.0.1", kit.ports.control)):
        found = by_check(preflight(kit, None, clock))
        assert "something else listens there" in found[f"port {kit.ports.control}"].found
    with tls_server(kits / "server", kit.ports.fleet):
        assert "is running" in by_check(preflight(kit, None, clock))[f"port {kit.ports.fleet}"].found


def test_a_server_key_of_another_certificate_is_found(kits, tmp_path):
    other = issue_kits(tmp_path / "other")
    kit = read_kit(kits / "server")
    kit.server_key.write_bytes((other / "server" / "server.key").read_bytes())
    assert "expected the private key of the certificate" in by_check(preflight(kit, None, clock))["key"].found


def test_a_device_that_is_not_there_is_named(kits, tmp_path):
    file = site_file(tmp_path)
    file.write_text(file.read_text() + "machine: {device: 'cuda:99'}\n")
    found = by_check(preflight(read_kit(kits / "site-north"), file, clock))["GPU"]
    assert (found.state, "cuda:99" in found.found) == (State.failed, True)


# --- the way to the server


def test_a_name_without_an_address_ends_the_way(issued):
    found = reach("no-such-host.invalid", 9092, issued / "site-north" / "ca.crt", clock)
    assert [finding.state for finding in found] == [State.failed, State.skipped, State.skipped]
    assert "/etc/hosts" in found[0].remedy


def test_a_port_where_nothing_listens_is_named(issued, reserve_port):
    found = reach("127.0.0.1", reserve_port(), issued / "site-north" / "ca.crt", clock)
    assert (found[1].state, found[2].state) == (State.failed, State.skipped)
    assert "refuses the connection" in found[1].found


def test_the_wrong_authority_the_wrong_host_and_an_expired_certificate_are_told_apart(issued, tmp_path):
    other = issue_kits(tmp_path / "other")
    elsewhere = issue_kits(tmp_path / "old", NOW - timedelta(days=400))
    ours = issued / "site-north" / "ca.crt"
    with tls_server(issued / "server") as port:
        assert by_check(reach("localhost", port, ours, clock))["TLS"].state is State.ok
        assert (
            "another authority" in by_check(reach("localhost", port, other / "server" / "ca.crt", clock))["TLS"].found
        )
        # Another spelling of 127.0.0.1, which no certificate bears.
        assert "is not for 127.1" in by_check(reach("127.1", port, ours, clock))["TLS"].found
    with tls_server(elsewhere / "server") as port:
        found = by_check(reach("localhost", port, elsewhere / "server" / "ca.crt", clock))
        assert "has expired" in found["TLS"].found
        assert "rotate --server" in found["TLS"].remedy


def test_a_server_that_does_not_speak_tls_is_named(issued):
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def answer() -> None:
            connection, _ = plain.accept()  # the look at the port
            connection.close()
            connection, _ = plain.accept()
            connection.sendall(b"220 mail.example.org ready\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        found = by_check(reach("127.0.0.1", plain.getsockname()[1], issued / "server" / "ca.crt", clock))["TLS"]
        thread.join()
    assert (found.state, "not in TLS" in found.found) == (State.failed, True)


def test_the_clock_is_compared_with_the_servers(issued):
    with tls_server(issued / "server") as port:
        ahead = reach("localhost", port, issued / "server" / "ca.crt", lambda: clock() + timedelta(minutes=2))
    assert by_check(ahead)["clock"].state is State.failed
    assert "ahead of the server's" in by_check(ahead)["clock"].found


@pytest.mark.parametrize(
    ("seconds", "state"), [(0, State.ok), (5, State.ok), (7, State.failed), (-299, State.ok), (-301, State.failed)]
)
def test_flowers_tolerance_decides_about_a_clock(seconds, state):
    # Flower takes what was signed at most 5 s in its future and 305 s in its past; the server tells whole seconds.
    assert compare_clocks(NOW, NOW + timedelta(seconds=seconds)).state is state


def test_the_way_leads_through_the_proxy_that_the_environment_names(issued, monkeypatch):
    asked: list[bytes] = []
    with tls_server(issued / "server") as port, socket.create_server(("127.0.0.1", 0)) as proxy:

        def tunnel() -> None:
            proxy.accept()[0].close()  # the look at the port
            near, _ = proxy.accept()
            asked.append(near.recv(4096))
            far = socket.create_connection(("127.0.0.1", port))
            near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(far, near))
            back.start()
            _pump(near, far)
            back.join()

        monkeypatch.setenv("HTTPS_PROXY", f"http://user:p%40ss@127.0.0.1:{proxy.getsockname()[1]}")
        thread = threading.Thread(target=tunnel)
        thread.start()
        found = by_check(reach("fed.example.org", 9092, issued / "server" / "ca.crt", clock))
        thread.join()
    assert found["TLS"].state is State.ok
    # By hand: base64 of user:p@ss
    assert asked[0].startswith(b"CONNECT fed.example.org:9092 ")
    assert b"Proxy-Authorization: Basic dXNlcjpwQHNz" in asked[0]


def _pump(source: socket.socket, target: socket.socket) -> None:
    while content := source.recv(65536):
        target.sendall(content)
    target.shutdown(socket.SHUT_WR)


# --- the command


def test_the_command_tells_by_table_json_and_status(kits, tmp_path, capsys):
    kit = read_kit(kits / "site-north")
    assert verify(kit.folder).ok
    arguments = ["provision", "check", str(kit.folder), "--site", str(site_file(tmp_path))]
    assert main([*arguments, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert {check["state"] for check in told["checks"] if check["check"] == "port"} == {"failed"}
    assert main(arguments) == 1
    assert "refuses the connection" in capsys.readouterr().out
    assert main(["provision", "check", str(tmp_path)]) == 2
