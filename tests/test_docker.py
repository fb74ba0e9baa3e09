"""docker/: what the images copy and run is there, nothing runs as root, and the example's kits fit its services."""

import json
import re
import runpy
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from fedner.cli import main
from fedner.deployment.provisioning.kit import read_kit
from fedner.deployment.service import health
from fedner.site.own_data import check_own_text

ROOT = Path(__file__).parent.parent
DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
SITES = ("north", "south", "east")
STATE = "/var/lib/fedner"
# An engine takes what has a dot before the first slash of an image's name for a host.
HOST = re.compile(r"(?:[\w-]+\.)+[a-z]{2,}(?::\d+)?/|https?:")


def instructions() -> list[list[str]]:
    """The Dockerfile's instructions as words, comments left out and lines joined."""
    lines = (DOCKER / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    return [line.split() for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def stages() -> dict[str, list[list[str]]]:
    """Stage -> its instructions, FROM the first."""
    found: dict[str, list[list[str]]] = {}
    for words in instructions():
        if words[0] == "FROM":
            found[words[-1]] = []
        if found:
            found[list(found)[-1]].append(words)
    return found


def listed(stage: str, instruction: str) -> list[str]:
    """The last list in JSON that an instruction of a stage has: CMD, or HEALTHCHECK … CMD."""
    words = [words for words in stages()[stage] if words[0] == instruction][-1]
    return json.loads("[" + " ".join(words).partition("[")[2])


def test_all_that_the_images_copy_is_there_and_let_through_to_the_build():
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source for words in instructions() if words[0] == "COPY" and "--from" not in words[1] for source in words[1:-1]
    }
    assert copied == let_through
    assert all((ROOT / source).exists() for source in copied)


def test_keys_and_everything_that_is_not_named_stay_out_of_a_build():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"  # first of all; what follows lets through
    assert rules[-1] == "**/*.key"  # the last rule that fits a file holds


@pytest.mark.parametrize("target", ["server", "client", "simulation"])
def test_an_image_has_no_build_stage_below_it_and_is_not_roots(target):
    below = stages()
    assert below[target][0] == ["FROM", "runtime", "AS", target]
    assert below["runtime"][0] == ["FROM", "${BASE_IMAGE}", "AS", "runtime"]
    assert ["USER", "10001:10001"] in below["runtime"]
    told = {words[0] for words in below[target]}
    assert not told & {"USER", "RUN", "ENTRYPOINT"}


@pytest.mark.parametrize("file", ["Dockerfile", "compose.yaml", "federation.yaml", "site.yaml"])
def test_no_file_names_a_host_on_the_network(file):
    text = (DOCKER / file).read_text(encoding="utf-8")
    assert not HOST.search(text)
    assert HOST.search("FROM registry.example.org:5000/python")  # the pattern can find one


def test_what_is_written_lies_in_the_volume():
    (environment,) = (words[1:] for words in stages()["runtime"] if words[0] == "ENV")
    paths = dict(word.split("=", 1) for word in environment if "=/" in word and not word.startswith("PATH="))
    assert {"HOME", "XDG_CACHE_HOME", "HF_HOME", "FLWR_HOME", "MPLCONFIGDIR"} <= set(paths)
    assert all(path == STATE or path.startswith(f"{STATE}/") for path in paths.values())
    assert "FLWR_TELEMETRY_ENABLED=0" in environment
    assert "HF_HUB_DISABLE_TELEMETRY=1" in environment


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_no_root_no_capability_and_two_places_to_write_to(service):
    told = SERVICES[service]
    assert told["user"] == "${FEDNER_USER:-10001:10001}"
    assert told["read_only"] is True
    assert told["cap_drop"] == ["ALL"]
    assert told["security_opt"] == ["no-new-privileges:true"]
    assert [entry.partition(":")[0] for entry in told["tmpfs"]] == ["/tmp"]
    assert [each["target"] for each in told["volumes"] if not each.get("read_only")] == [STATE]
    assert not {"privileged", "cap_add", "devices", "ports", "pid", "ipc"} & set(told)


def test_a_site_sees_the_server_and_no_other_site():
    assert [SERVICES[site]["networks"] for site in SITES] == [[site] for site in SITES]
    assert set(SERVICES["server"]["networks"]) == set(SITES)
    assert COMPOSE["networks"] == {site: {"internal": True} for site in SITES}
    assert SERVICES["coordinator"]["network_mode"] == "service:server"


def commands() -> dict[str, list[str]]:
    """Every fedner command of Dockerfile and compose file, by where it stands."""
    images = {f"image {target}": listed(target, "CMD") for target in ("server", "client", "simulation")}
    services = {f"service {name}": told["command"] for name, told in SERVICES.items() if "command" in told}
    return images | services


@pytest.mark.parametrize("place", [place for place in commands() if place != "image simulation"])
def test_a_command_is_understood_and_then_asks_for_its_kit(place, capsys):
    assert main(commands()[place]) == 2
    # A word that the parser does not know is told before any file is looked at.
    assert "fedner: /kit: expected a kit's folder" in capsys.readouterr().err


def test_the_simulations_command_composes(capsys):
    verb, *overrides = commands()["image simulation"]
    assert verb == "compare"
    assert main(["config", *overrides]) == 0
    assert "tiny-random" in capsys.readouterr().out


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("docker") / "example"
    runpy.run_path(str(DOCKER / "example.py"))["write_example"](folder)
    return folder


def test_the_example_has_all_that_the_services_mount(example):
    mounted = [each for told in SERVICES.values() for each in told["volumes"] if each["type"] == "bind"]
    sources = [Path(each["source"]) for each in mounted]
    assert len(sources) == 9  # the server's kit, a kit and the text of three sites, the coordinator's kit and folder
    assert all((example.parent / source).is_dir() for source in sources)


def test_the_examples_certificate_names_the_servers_service(example):
    kit = example / "kits" / "example" / "server"
    certificate = x509.load_pem_x509_certificate((kit / "server.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "server" in names.get_values_for_type(x509.DNSName)
    assert read_kit(kit).host == "server"
    assert "server" in SERVICES


@pytest.mark.parametrize("site", SITES)
def test_the_examples_sites_have_whole_kits_and_text_under_the_contract(example, site):
    kit = example / "kits" / "example" / f"site-{site}"
    assert main(["provision", "verify", str(kit)]) == 0
    file = example / f"site-{site}" / "site.yaml"
    report = check_own_text(file, kit / "contract.yaml")
    assert report.ok
    assert (report.name, len(report.files)) == (site, 3)
    assert f"path: {STATE}/" in file.read_text()  # /site is read-only, and the record is written


def test_the_health_checks_ask_for_the_state_that_the_commands_keep():
    for target in ("server", "client"):
        command = listed(target, "CMD")
        assert listed(target, "HEALTHCHECK") == [
            "python", "-P", "-m", "fedner.deployment.service.health", command[command.index("--state") + 1]
        ]  # fmt: skip


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_health_is_what_answers_at_the_port_that_was_noted(tmp_path, capsys):
    assert health.main([str(tmp_path)]) == 1  # not started
    with HTTPServer(("127.0.0.1", 0), _Healthy) as server:
        health.note_port(tmp_path, server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            assert health.main([str(tmp_path)]) == 0
        finally:
            server.shutdown()
            thread.join()
    assert health.main([str(tmp_path)]) == 1  # gone
    assert "nothing answers" in capsys.readouterr().out
    assert health.main([]) == 2
