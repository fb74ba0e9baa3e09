"""The page over a real TLS socket on loopback: who sees what, who sees nothing, and what comes with every answer."""

import asyncio
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp
from watched import half_way, hostile, run_view, status

from fedner.cli import main
from fedner.cli.verbs.deployment import watching
from fedner.deployment.monitoring import web
from fedner.deployment.monitoring.credentials import Viewer, Viewers, sign_credential, viewing_token
from fedner.deployment.monitoring.page import render_page
from fedner.deployment.monitoring.site_client import watching_site
from fedner.deployment.monitoring.status import Status, seen_by, status_to_json
from fedner.deployment.preflight.network import trusting
from fedner.deployment.provisioning.keys import make_key, read_private
from fedner.deployment.provisioning.kit import read_kit
from fedner.deployment.provisioning.token import control_token
from fedner.deployment.service.access import token_digest
from fedner.deployment.service.server import Web, serve, site_keys
from fedner.errors import ConfigError, FederationError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def federation_status() -> Status:
    return status(run_view(half_way(east="Alderbrook")), east="Alderbrook")


def viewers_of(kits: Path, digest: bool = True) -> Viewers:
    kit = read_kit(kits / "server")
    token = token_digest(viewing_token(kit)) if digest else None
    return Viewers(federation=kit.federation, sites=site_keys(kit), digest=token)


@contextmanager
def served(app: ASGIApp, kits: Path) -> Iterator[int]:
    """Serve an app as the page is served; give the port."""
    config = web.page_config(app, str(kits / "server" / "server.crt"), str(kits / "server" / "server.key"))
    server, listening = uvicorn.Server(config), socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(scope="module")
def port(issued) -> Iterator[int]:
    with served(web.page_app(federation_status, viewers_of(issued), render_page), issued) as number:
        yield number


@pytest.fixture
def ask(issued, port) -> Callable[..., httpx.Response]:
    def asked(path: str = "/", password: str | None = None, method: str = "GET", **more) -> httpx.Response:
        auth = None if password is None else ("anybody", password)
        with httpx.Client(verify=trusting(issued / "server" / "ca.crt")) as client:
            return client.request(method, f"https://127.0.0.1:{port}{path}", auth=auth, **more)

    return asked


@pytest.fixture
def token(issued) -> str:
    return viewing_token(read_kit(issued / "coordinator"))


@pytest.fixture
def norths(issued) -> str:
    key = read_private(issued / "site-north" / "north.key")
    return sign_credential("cardio", "north", key, datetime.now(UTC) + timedelta(hours=1))


def test_the_coordinator_sees_all_and_the_page_loads_and_runs_nothing(ask, token):
    answer = ask("/", token)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for shown in ("Alderbrook", "north", "south", "suspended", "2 min 05 s", "0.600", "<svg"):
        assert shown in answer.text, shown
    assert not re.search(r"<script|<link|<img|<form|javascript:|@import|url\((?!#)|(?:src|href)=\"(?!#)", answer.text)
    assert ask("/status.json", token).json() == json.loads(json.dumps(status_to_json(federation_status())))


def test_a_site_sees_the_run_and_no_other_site(ask, norths):
    page, plain = ask("/", norths), ask("/status.json", norths)
    assert (page.status_code, plain.status_code) == (200, 200)
    assert not re.search(r"Alderbrook|south", page.text + plain.text)
    assert plain.json() == json.loads(json.dumps(status_to_json(seen_by(federation_status(), "north"))))
    assert all(shown in page.text for shown in ("north", "<svg", "2 other sites not shown", "2 min 05 s"))


@pytest.mark.parametrize("path", ["/", "/status.json", "/else"])
def test_nothing_is_told_without_a_password_that_holds(ask, issued, path):
    control = control_token(read_kit(issued / "coordinator"))
    for password in (None, "", "0" * 64, control, "north.1.AAAA", "x" * 5000):
        answer = ask(path, password)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Basic realm="fedner cardio", charset="UTF-8"'
        assert not re.search(r"north|south|Alderbrook|first", answer.text)


def test_every_answer_has_the_headers_that_keep_it_in_its_place(ask, token):
    answers = [ask("/", token), ask("/"), ask("/else", token), ask("/", token, "POST"), ask("/status.json", token)]
    assert [answer.status_code for answer in answers] == [200, 401, 404, 405, 200]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'; ")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_there_is_nothing_to_do_but_look(ask, token, method):
    for password in (token, None):
        answer = ask("/", password, method)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_a_head_request_has_no_body_and_a_body_or_a_long_head_is_refused(ask, token):
    assert (ask("/", token, "HEAD").status_code, ask("/", token, "HEAD").content) == (200, b"")
    assert ask("/", token, content=b"x").status_code == 413
    assert ask("/", token, content=iter([b"x"])).status_code == 413
    assert ask("/", token, headers={"x-long": "y" * web.LARGEST_HEAD}).status_code == 431
    assert ask(f"/?{'y' * web.LARGEST_HEAD}", token).status_code == 431


def test_who_does_not_speak_tls_is_told_nothing(port):
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        told = b""
        while piece := plain.recv(1000):
            told += piece
    assert b"HTTP" not in told


def test_a_connection_that_is_held_open_ends(issued, monkeypatch):
    monkeypatch.setattr(web, "CONNECTION_SECONDS", 0.3)
    context = ssl.create_default_context(cafile=str(issued / "server" / "ca.crt"))
    heard = b""
    with (
        served(web.page_app(federation_status, viewers_of(issued), render_page), issued) as port,
        socket.create_connection(("127.0.0.1", port)) as plain,
        suppress(ConnectionError, ssl.SSLEOFError),
        context.wrap_socket(plain, server_hostname="localhost") as held,
    ):
        held.sendall(b"GET / HTTP/1.1\r\nHost: ")
        heard = held.recv(1000)  # the server ends it: else this would wait for ever
    assert heard == b""


def test_passwords_are_written_down_nowhere(ask, token, norths, caplog, capfd):
    caplog.set_level("DEBUG")
    for password in (token, norths, "wrong-password"):
        ask("/", password)
    said = caplog.text + "".join(capfd.readouterr())
    ours = "\n".join(line for line in said.splitlines() if "httpcore" not in line)  # the asking side's own
    assert not any(secret in ours for secret in (token, norths, "wrong-password"))


def test_what_sites_say_is_shown_and_never_read_as_markup():
    page = render_page(hostile('</td><script>alert("1")</script>\x00\u202e{{ 7*7 }}'))
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;\\x00\\u202e{{ 7*7 }}") == 2


def test_a_federation_without_runs_has_a_page():
    page = render_page(Status(federation="nord", moment="2026-03-02T09:00:00+00:00", viewer=None, registered=0,
                              online=0, sites=(), runs=()))  # fmt: skip
    assert "No run yet" in page
    assert "<svg" not in page


def test_a_pass_holds_for_its_site_its_federation_and_its_time(issued):
    key = read_private(issued / "site-north" / "north.key")
    viewers, hour = viewers_of(issued), NOW + timedelta(hours=1)
    genuine = sign_credential("cardio", "north", key, hour)
    assert viewers.authenticate(genuine, NOW) == Viewer("north")
    assert viewers.authenticate(genuine, hour) is None  # over
    claim, _, signature = genuine.rpartition(".")
    for other in (
        sign_credential("other", "north", key, hour),  # another federation's
        sign_credential("cardio", "south", key, hour),  # another site's
        sign_credential("cardio", "nobody", key, hour),  # no site's
        sign_credential("cardio", "north", make_key(), hour),  # by another key
        sign_credential("cardio", "north", key, NOW + timedelta(hours=25)),  # for too long
        f"{claim}0.{signature}",  # with another end
        f"{claim}.{signature[:-4]}",
        f"{claim}.*",
        f"north.{'9' * 12}.{signature}",
    ):
        assert viewers.authenticate(other, NOW) is None, other
    south = Viewers(federation="cardio", sites={"south": viewers.sites["south"]}, digest=viewers.digest)
    assert south.authenticate(genuine, NOW) is None  # north was revoked


def test_the_viewing_token_follows_from_the_coordinators_and_opens_no_sites_listener(issued, token):
    assert token == viewing_token(read_kit(issued / "server"))
    assert token != control_token(read_kit(issued / "coordinator"))
    assert viewers_of(issued).authenticate(token, NOW) == Viewer(None)
    assert viewers_of(issued, digest=False).authenticate(token, NOW) is None


def test_a_site_looks_with_its_own_key_and_another_key_is_told_what_to_do(issued, tmp_path):
    kit = read_kit(issued / "site-north")
    app = Starlette(routes=[web.status_route(federation_status, web.basic(viewers_of(issued, digest=False)))])
    with served(app, issued) as port:
        place = f"127.0.0.1:{port}"
        with watching_site(kit, kit.site_key, place) as look:
            assert look() == seen_by(federation_status(), "north")
        other = issued.parent.parent / "own" / "south.key"
        with (
            watching_site(kit, other, place) as look,
            pytest.raises(ConfigError, match="does not take this key's word"),
        ):
            look()
    with watching_site(kit, kit.site_key, place) as look, pytest.raises(FederationError, match="no answer from"):
        look()


@pytest.mark.parametrize(("option", "told"), [([], 2), (["--json"], 2)])
def test_a_site_follows_and_is_told_of_what_changes_alone(issued, monkeypatch, capsys, option, told):
    monkeypatch.setattr(watching, "FOLLOW_SECONDS", 0.01)
    before, after = status(run_view(half_way()[:9])), federation_status()
    to_show = iter([before, before, replace(before, moment="2026-03-02T10:00:00+00:00"), after, after])

    def look() -> Status:
        found = next(to_show, None)
        if found is None:
            raise HTTPException(503)
        return found

    app = Starlette(routes=[web.status_route(look, web.basic(viewers_of(issued, digest=False)))])
    with served(app, issued) as port:
        kit = str(issued / "site-north")
        assert main(["status", kit, "--at", f"127.0.0.1:{port}", "--follow", *option]) == 1
    said, error = capsys.readouterr()
    assert "does not say how things stand (503)" in error
    lines = [line for line in said.splitlines() if line.startswith(("run first:", "{"))]
    assert len(lines) == told
    assert "round 3" in lines[-1] if not option else json.loads(lines[-1])["runs"][0]["progress"]["round"] == 3
    assert not re.search(r"Alderbrook|south|east", said)


@pytest.mark.parametrize(("port", "wanted"), [(9092, "another port than the one for fleet"), (0, "1 to 65535")])
def test_the_page_has_a_port_of_its_own(issued, tmp_path, port, wanted):
    with pytest.raises(ConfigError, match=wanted):
        serve(read_kit(issued / "server"), tmp_path, "127.0.0.1", "127.0.0.1", Web("127.0.0.1", port))
