"""Attacks on a real server, and faults of real sites, over TLS on loopback: nobody gets in, and nothing is lost.

One server and two sites serve all of it. The table of all attacks and faults is in docs/how-it-is-tested.md.
"""

import base64
import contextlib
import json
import resource
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

import httpx
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from deployment import wait_until
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    DeactivateNodeRequest,
    PullMessagesRequest,
    RegisterNodeFleetRequest,
)
from flwr.proto.node_pb2 import Node
from flwr.supercore.error import ApiErrorCode
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
from flwr.supercore.primitives.asymmetric import public_key_to_bytes, sign_message
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor
from link import Link
from machines import SECONDS, Machines, config, new_federation

from fedner.audit.verification import verify
from fedner.deployment.control.client import connected
from fedner.deployment.preflight.network import trusting
from fedner.deployment.provisioning.issuing import issue, revoke
from fedner.deployment.provisioning.keys import make_key, read_private
from fedner.deployment.provisioning.kit import read_kit
from fedner.deployment.provisioning.token import control_token
from fedner.deployment.service.access import LARGEST_BODY
from fedner.simulation.running import run_in_process

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # connections that a server hung up on
]
ROUNDS, EPOCHS = 2, 8
OVERRIDES = [
    "model=tiny_random", "training.lr=0.01", "training.threads=1", f"training.epochs={EPOCHS}",
    f"federation.rounds={ROUNDS}", "federation.min_sites=2", "federation.missed_quorum=retry", "federation.retries=20",
    "federation.deadline_seconds=240",
]  # fmt: skip
CUT_SECONDS = 60.0
GUEST = "guest"
"""A site whose key is registered and whose machine is the attacker's."""
Key = ec.EllipticCurvePrivateKey


@pytest.fixture(scope="module")
def machines(tmp_path_factory, write_site) -> Iterator[Machines]:
    machines = new_federation(tmp_path_factory.mktemp("attacks"), write_site, more=(GUEST,))
    for site in machines.sites:
        file = machines.folder / "text" / site / "site.yaml"
        plain = yaml.safe_load(file.read_text())
        file.write_text(yaml.safe_dump({**plain, "policy": {"runs": ["fault-*"]}}))
    guest_kit(machines)
    try:
        machines.start_server()
        for site in machines.sites:
            machines.start_site(site, kit=behind_a_link(machines, site))
        machines.until_said("server", "event=site-online", len(machines.sites))
        yield machines
    finally:
        for name in list(machines.processes):
            machines.kill(name)


LINKS: dict[str, Link] = {}


def behind_a_link(machines: Machines, site: str) -> Path:
    """Return a site's kit in which the server is reached through a link that can be cut."""
    kit, behind = machines.kits / f"site-{site}", machines.folder / f"kit-{site}"
    if not behind.exists():
        LINKS[site] = Link(read_kit(kit).ports.fleet)
        shutil.copytree(kit, behind)
        plain = yaml.safe_load((behind / "kit.yaml").read_text())
        plain["ports"]["fleet"] = LINKS[site].port
        (behind / "kit.yaml").write_text(yaml.safe_dump(plain))
    return behind


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> str:
    """Digest of the state that the same configuration ends with in one process."""
    run = run_in_process(config(ROUNDS, epochs=EPOCHS), tmp_path_factory.mktemp("simulated") / "run")
    return run.result.state_digest


@pytest.fixture
def nobody_new(machines: Machines) -> Iterator[None]:
    """The members after an attack are those before, by name and number."""
    before = members(machines)
    yield
    assert members(machines) == before


def members(machines: Machines) -> list[tuple[str, bool]]:
    with connected(read_kit(machines.kits / "coordinator")) as control:
        return [(site.name, site.online) for site in control.status().sites]


def guest_key(machines: Machines) -> Key:
    return read_private(guest_kit(machines) / f"{GUEST}.key")


def guest_kit(machines: Machines) -> Path:
    """Return the guest's kit as it was handed over, which a revocation does not take away."""
    kept = machines.folder / "guest"
    if not kept.exists():
        shutil.copytree(machines.kits / f"site-{GUEST}", kept)
    return kept


def fleet(machines: Machines, key: Key | None, shown: dict[str, str] | None = None, plaintext: bool = False):
    """Return Flower's own client of the sites' listener, signing with a key, with headers of another's, or not."""
    kit = read_kit(guest_kit(machines))
    trusted = None if plaintext else kit.ca_certificate.read_bytes()
    signing = [] if key is None else [NodeAuthHttpInterceptor(key, key.public_key())]
    signing = signing if shown is None else [_Shown(shown)]
    version = RuntimeVersionHttpInterceptor(component_name="SuperNode")
    address = kit.address(kit.ports.fleet)
    return closing(FleetHttpClient.from_server_address(address, plaintext, trusted, [version, *signing]))


@dataclass(frozen=True)
class _Shown:
    """Shows the same headers with every request, as somebody does who overheard them."""

    headers: dict[str, str]

    def intercept(self, context, call_next):
        context.request.headers.update(self.headers)
        return call_next(context)


def activation(key: Key) -> ActivateNodeRequest:
    return ActivateNodeRequest(public_key=public_key_to_bytes(key.public_key()), heartbeat_interval=30)


def refusal(work: Callable[[], object]) -> httpx.Response:
    with pytest.raises(httpx.HTTPStatusError) as refused:
        work()
    return refused.value.response


def https(machines: Machines, listener: str) -> HTTPSConnection:
    """Return a connection to a listener, as somebody makes it who has the authority's certificate and nothing else."""
    kit = read_kit(machines.kits / "coordinator")
    return HTTPSConnection(
        kit.host, getattr(kit.ports, listener), context=trusting(kit.ca_certificate), timeout=SECONDS
    )


def signed(key: Key, moment: datetime) -> dict[str, str]:
    """Return the headers of a request that was signed at some moment."""
    told = moment.isoformat()
    return {
        "flwr-public-key": base64.b64encode(public_key_to_bytes(key.public_key())).decode(),
        "flwr-timestamp": told,
        "flwr-signature": base64.b64encode(sign_message(key, told.encode("ascii"))).decode(),
    }


def answer_to(connection: HTTPSConnection, path: str, headers: dict[str, str]) -> int:
    """Return the status of a GET for a path that is sent exactly as it stands here."""
    with closing(connection):
        connection.putrequest("GET", path, skip_host=False)
        for name, text in headers.items():
            connection.putheader(name, text)
        connection.endheaders()
        return connection.getresponse().status


# --- at the listeners


@pytest.mark.usefixtures("nobody_new")
def test_a_client_that_does_not_trust_the_authority_ends_the_handshake(machines):
    kit = read_kit(machines.kits / "server")
    for context in (ssl.create_default_context(), trusting(other_authority(machines))):
        plain = socket.create_connection((kit.host, kit.ports.fleet))
        with plain, pytest.raises(ssl.SSLCertVerificationError):
            context.wrap_socket(plain, server_hostname=kit.host)


def other_authority(machines: Machines) -> Path:
    folder = machines.folder / "elsewhere"
    if not folder.exists():
        issue(machines.folder / "federation.yaml", folder, datetime.now(UTC))
    return folder / "notes" / "server" / "ca.crt"


@pytest.mark.usefixtures("nobody_new")
def test_plaintext_gets_no_answer_at_any_tls_listener(machines):
    kit = read_kit(machines.kits / "server")
    for port in (kit.ports.fleet, kit.ports.control):
        with socket.create_connection((kit.host, port)) as plain, contextlib.suppress(ConnectionError):
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"HTTP" not in plain.recv(1000)
    key = guest_key(machines)
    with fleet(machines, key, plaintext=True) as client, pytest.raises(httpx.TransportError):
        client.ActivateNode(activation(key))


@pytest.mark.usefixtures("nobody_new")
def test_a_request_without_a_signature_or_with_a_strange_key_is_refused(machines):
    strange, registered = make_key(), guest_key(machines)
    with fleet(machines, None) as client:
        assert refusal(lambda: client.ActivateNode(activation(registered))).status_code == 401
    with fleet(machines, strange) as client:
        assert refusal(lambda: client.ActivateNode(activation(registered))).status_code == 401
        refused = refusal(lambda: client.ActivateNode(activation(strange)))
        assert json.loads(refused.text)["code"] == ApiErrorCode.FLEET_NODE_ACTIVATION_FAILED
        own = RegisterNodeFleetRequest(public_key=public_key_to_bytes(strange.public_key()))
        refused = refusal(lambda: client.RegisterNode(own))
        assert json.loads(refused.text)["code"] == ApiErrorCode.FLEET_SUPERNODE_REGISTRATION_DISABLED


@pytest.mark.usefixtures("nobody_new")
@pytest.mark.parametrize("seconds", [-400, 60])
def test_headers_signed_too_long_ago_or_in_the_future_are_refused(machines, seconds):
    key = guest_key(machines)
    shown = signed(key, datetime.now(UTC) + timedelta(seconds=seconds))
    with fleet(machines, None, shown) as client:
        assert refusal(lambda: client.ActivateNode(activation(key))).status_code == 401


@pytest.mark.usefixtures("nobody_new")
def test_a_replayed_activation_adds_no_node_and_its_headers_do_not_open_anothers_mail(machines):
    key = guest_key(machines)
    shown = signed(key, datetime.now(UTC))
    with fleet(machines, None, shown) as client:
        node = client.ActivateNode(activation(key)).node_id
        refused = refusal(lambda: client.ActivateNode(activation(key)))
        assert json.loads(refused.text)["code"] == ApiErrorCode.FLEET_NODE_ACTIVATION_FAILED
        for other in set(node_ids(machines)) - {node}:
            asking = PullMessagesRequest(node=Node(node_id=other))
            assert refusal(lambda asking=asking: client.PullMessages(asking)).status_code == 401
        assert not client.PullMessages(PullMessagesRequest(node=Node(node_id=node))).messages_list
        client.DeactivateNode(DeactivateNodeRequest(node_id=node))


def node_ids(machines: Machines) -> list[int]:
    with connected(read_kit(machines.kits / "coordinator")) as control:
        return [int(node) for node in json.loads(str(control.run_config(config(), resume=False)["nodes"]))]


@pytest.mark.usefixtures("nobody_new")
def test_a_message_that_is_too_large_is_refused_announced_or_not(machines):
    headers = signed(guest_key(machines), datetime.now(UTC))
    with closing(https(machines, "fleet")) as announced:
        announced.putrequest("POST", "/v1/fleet/push-messages")
        for name, text in {**headers, "content-length": str(LARGEST_BODY + 1)}.items():
            announced.putheader(name, text)
        announced.endheaders()
        assert announced.getresponse().status == 413
    with closing(https(machines, "fleet")) as unannounced:
        pieces = (b"x" * 1024**2 for _ in range(LARGEST_BODY // 1024**2 + 1))
        try:
            unannounced.request("POST", "/v1/fleet/push-messages", pieces, headers, encode_chunked=True)
            assert unannounced.getresponse().status >= 400
        except (HTTPException, OSError):
            pass  # hung up on in the middle
    assert answer_to(https(machines, "fleet"), "/health", {}) == 200


@pytest.mark.usefixtures("nobody_new")
@pytest.mark.parametrize(
    ("listener", "path"),
    [
        ("fleet", "/v1/control/list-runs"),
        ("fleet", "/v1/fleet/../control/list-runs"),
        ("fleet", "/v1/fleet/%2e%2e/control/list-runs"),
        ("fleet", "/fedner/v1/../../v1/control/list-runs"),
        ("fleet", "/v1/runtime/acquire-task"),
        ("control", "/fedner/v1/runs/..%2f/files/superlink.db"),
        ("control", "/fedner/v1/runs/../../superlink.db"),
        ("control", "/fedner/v1/runs/%2e%2e/files/superlink.json"),
        ("control", "/v1/fleet/pull-messages"),
    ],
)
def test_a_detour_in_a_path_leads_nowhere_even_with_the_token(machines, listener, path):
    token = control_token(read_kit(machines.kits / "coordinator"))
    headers = {**signed(guest_key(machines), datetime.now(UTC)), "authorization": f"Bearer {token}"}
    assert answer_to(https(machines, listener), path, headers) in (404, 405)


@pytest.mark.usefixtures("nobody_new")
@pytest.mark.parametrize("token", [None, "", "guessed"])
def test_nobody_starts_or_sees_runs_without_the_token(machines, token):
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    assert answer_to(https(machines, "control"), "/fedner/v1/runs", headers) == 401
    with closing(https(machines, "control")) as connection:
        connection.request("POST", "/v1/control/start-run", b"", headers)
        assert connection.getresponse().status == 401


# --- runs under attack, and what a fault costs them


def submit(machines: Machines, name: str, *overrides: str) -> None:
    machines.ask("submit", *OVERRIDES, *overrides, f"name={name}")


def test_a_run_that_the_policies_forbid_is_refused_before_any_work_and_written_down(machines):
    submit(machines, "mischief", "federation.wait_seconds=20")
    assert "handshake: expected 2 sites within 20 s" in machines.ask("logs", "mischief")  # which ends with the run
    told = [line["reason"] for line in machines.history("mischief") if line["event"] == "site refused"]
    assert told == ["policy-run: the site's policy does not name this run"] * 2
    for site in machines.sites:
        asked = [line for line in machines.trail(site) if line["event"] == "asked" and line["run"] == "mischief"]
        refused = [line for line in machines.trail(site) if line["event"] == "refused"]
        assert {line["request"] for line in asked} == {"query.hello"}
        assert {line["code"] for line in refused} == {"policy-run"}
        assert verify(machines.folder / "text" / site / "audit.jsonl").sound


def test_a_second_machine_with_the_same_key_is_kept_out_and_the_run_ends_with_the_simulations_bytes(
    machines, simulated
):
    site = machines.sites[0]
    machines.start_site(site, machine="double")
    submit(machines, "fault-double")
    assert machines.result("fault-double")["state_digest"] == simulated
    wait_until(lambda: "died process=supernode" in machines.said("double"), SECONDS)
    assert "[code: 2004]" in machines.logged("double")
    machines.kill("double")
    assert (site, True) in members(machines)


def test_a_link_that_is_cut_for_a_minute_in_mid_round_costs_nothing(machines, simulated):
    link = LINKS[machines.sites[0]]
    submit(machines, "fault-link")
    machines.until_event("fault-link", "round started", 2)
    link.cut()
    time.sleep(CUT_SECONDS)
    assert not any(line["event"] == "round evaluated" and line["round"] == 2 for line in machines.history("fault-link"))
    link.mend()
    assert machines.result("fault-link")["state_digest"] == simulated


def test_a_site_that_is_killed_in_mid_round_comes_back_as_itself_and_costs_nothing(machines, simulated):
    site = machines.sites[0]
    submit(machines, "fault-site")
    wait_until(lambda: asked_to_train(machines, site, "fault-site", 2), SECONDS)
    machines.kill(site)
    machines.start_site(site, kit=behind_a_link(machines, site))
    assert machines.result("fault-site")["state_digest"] == simulated
    assert verify(machines.folder / "text" / site / "audit.jsonl").sound


def asked_to_train(machines: Machines, site: str, run: str, number: int) -> bool:
    return any(
        line["event"] == "asked" and line["request"] == "train" and (line["run"], line["round"]) == (run, number)
        for line in machines.trail(site)
    )


def test_a_site_whose_disk_is_full_does_nothing_that_it_cannot_write_down_and_goes_on_once_there_is_room(
    machines, simulated
):
    site = machines.sites[1]
    worker = machines.pid(site, "worker")
    submit(machines, "fault-disk")
    machines.until_event("fault-disk", "round started", 2)
    before = resource.prlimit(worker, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    machines.until_event("fault-disk", "reply refused")
    resource.prlimit(worker, resource.RLIMIT_FSIZE, before)
    (first, *_) = [line for line in machines.history("fault-disk") if line["event"] == "reply refused"]
    assert first["site"] == site
    assert "audit" in first["reason"]
    assert machines.result("fault-disk")["state_digest"] == simulated
    assert verify(machines.folder / "text" / site / "audit.jsonl").sound


def test_a_server_that_is_killed_in_mid_run_goes_on_to_the_same_bytes_and_a_revoked_key_stays_outside(
    machines, simulated
):
    submit(machines, "fault-server")
    machines.until_event("fault-server", "round evaluated", 1)
    online = machines.said("server").count("event=site-online")
    machines.kill("server")
    revoke(machines.kits, GUEST, "left the federation", datetime.now(UTC))
    machines.start_server()
    machines.until_said("server", f"event=site-shut-out site={GUEST}")
    machines.until_said("server", "event=site-online", online + 2)
    machines.ask("submit", "--resume", "fault-server")
    assert machines.result("fault-server")["state_digest"] == simulated
    assert [name for name, _ in members(machines)] == machines.sites
    assert verify(machines.folder / "server" / "state" / "runs" / "fault-server" / "audit.jsonl").sound
    with fleet(machines, guest_key(machines)) as client:
        refused = refusal(lambda: client.ActivateNode(activation(guest_key(machines))))
    assert json.loads(refused.text)["code"] == ApiErrorCode.FLEET_NODE_ACTIVATION_FAILED
