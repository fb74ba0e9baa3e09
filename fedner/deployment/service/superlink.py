"""Flower's SuperLink with one listener for each kind of caller, as a process.

    python -m fedner.deployment.service.superlink FILE

    fleet     TLS, for the sites: every request is signed by a registered key; and `registration`: is a key known
    control   TLS, for the coordinator: every request shows the token; runs, and what `downloads` hands out
    runtime   loopback: the processes that run the server's app; one of them shows a secret to be given work
    health    loopback: 200 at /health
    web       TLS, where it is asked for: the status page, for the coordinator and the sites

The app behind them is Flower's own (`fedner.flower.superlink_app`).
"""

import asyncio
import signal
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import uvicorn
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from fastapi import FastAPI
from sqlalchemy import event
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from fedner.deployment.monitoring.collector import StatusCollector
from fedner.deployment.monitoring.credentials import Viewer, Viewers
from fedner.deployment.monitoring.web import basic, page_app, page_config, status_route
from fedner.deployment.preflight.registration import registration
from fedner.deployment.service.access import CoordinatorToken, Gate
from fedner.deployment.service.downloads import PREFIX, downloads
from fedner.deployment.service.event_lines import log_event
from fedner.deployment.service.flower_programs import LOOPBACK, listen
from fedner.deployment.service.settings import ServerSettings, read_settings
from fedner.errors import ConfigError, FednerError
from fedner.flower.link_state import (
    LinkState,
    engines,
    register_node,
    registered_nodes,
    remove_node,
    site_of_key,
)
from fedner.flower.signing import public_key_to_bytes
from fedner.flower.superlink_app import link_state_of, superlink_app

PAGE_BYTES = 4096
"""SQLite's own default, which Flower leaves."""
LOG_BYTES = 256 * 1024**2
"""The size to which the database's log grows, on the disk beside it."""
ONLINE_SECONDS = 5.0
"""How often it is looked who is connected."""


def main(arguments: list[str]) -> int:
    """Serve what a settings file says until SIGTERM or SIGINT."""
    settings = read_settings(Path(arguments[0]))
    try:
        token = CoordinatorToken(settings.token_digest)
        secret = Path(settings.secret_file).read_bytes()
        app = superlink_app(settings.ports.runtime, secret, settings.database, token.accepts)
        state = link_state_of(app)
        rarer_checkpoints(state)
        register(state, settings.sites)
        with asyncio.Runner(loop_factory=uvicorn.Config(app).get_loop_factory()) as runner:
            runner.run(_serve(settings, token, app))
    except (FednerError, OSError) as error:
        log_event("superlink-failed", reason=str(error))
        return 1
    return 0


def rarer_checkpoints(state: LinkState) -> None:
    """Let SQLite's log grow before it is copied into the database.

    SQLite copies once its log has 4 MB, which is less than one piece of a message: every piece would be written twice
    and waited for, and most are deleted again before the log is full. A killed process loses nothing by it. A power cut
    may lose what was written since the last copying, as before, but more of it: messages under way and the run's task,
    and the run goes on after its last whole round, which lies in its own folder.
    """
    for engine in engines(state):
        event.listen(engine, "connect", _rarer_checkpoint)
        engine.dispose()  # of connections that were made before


def _rarer_checkpoint(connection: sqlite3.Connection, record: object) -> None:
    connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_BYTES // PAGE_BYTES}")


def register(state: LinkState, sites: Mapping[str, str]) -> None:
    """Make the registered keys those of the kit: new ones are let in, others are shut out for good.

    Args:
        state: Flower's database.
        sites: site -> public key, one OpenSSH line.

    Raises:
        ConfigError: a key is none, or was shut out before.
    """
    wanted = {_key_bytes(site, key): site for site, key in sites.items()}
    known = {node.public_key: node for node in registered_nodes(state)}
    for key, node in known.items():
        if wanted.get(key) != node.name:
            remove_node(state, node.number)
            log_event("site-shut-out", site=node.name)
    for key, site in sorted(wanted.items(), key=lambda item: item[1]):
        if key in known and known[key].name == site:
            continue
        try:
            register_node(state, site, key)
        except ValueError as error:
            raise ConfigError(
                f"site '{site}': its key was shut out before and cannot come back; let the site have a new key, and "
                "issue the server's kit again"
            ) from error
        log_event("site-registered", site=site)


def _key_bytes(site: str, key: str) -> bytes:
    try:
        return public_key_to_bytes(load_ssh_public_key(key.encode()))  # pyright: ignore[reportArgumentType]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            f"site '{site}': expected an OpenSSH public key (ecdsa), got none that can be read"
        ) from error


class _Listener(uvicorn.Server):
    """A server that leaves signals to whoever runs several of them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(settings: ServerSettings, token: CoordinatorToken, app: FastAPI) -> None:
    ports, tls = settings.ports, _Tls(settings.certificate, settings.key)
    state = link_state_of(app)
    look = StatusCollector(settings.federation, Path(settings.runs), state)
    viewers = Viewers(federation=settings.federation, sites=settings.sites)

    def coordinator(authorization: str) -> Viewer | None:
        return Viewer(None) if token.bearer(authorization) else None

    ours = Starlette(routes=[*downloads(Path(settings.runs), token.bearer).routes, status_route(look, coordinator)])
    asked = Starlette(routes=[*registration(partial(site_of_key, state)).routes, status_route(look, basic(viewers))])
    listeners = {
        _Listener(_config(Gate(app, ("/v1/runtime/",)), "on")): listen(LOOPBACK, ports.runtime),
        _Listener(_config(Gate(app, ()), "off")): listen(LOOPBACK, ports.health),
        _Listener(_config(_Beside(app, "/v1/fleet/", asked), "off", tls)): listen(settings.host, ports.fleet),
        _Listener(_config(_Beside(app, "/v1/control/", ours), "off", tls)): listen(
            settings.control_host, ports.control
        ),
    }
    if settings.web is not None:
        # Drawing needs matplotlib, which a server without the page should not hold in memory.
        from fedner.deployment.monitoring.page import render_page

        page = page_app(look, replace(viewers, digest=settings.web.digest), render_page)
        listeners[_Listener(page_config(page, tls.certificate, tls.key))] = listen(settings.web.host, settings.web.port)

    def stop() -> None:
        for listener in listeners:
            listener.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    watch = asyncio.create_task(_watch(state))
    try:
        await asyncio.gather(*(listener.serve([listening]) for listener, listening in listeners.items()))
    finally:
        watch.cancel()


class _Beside:
    """A listener with one of Flower's APIs, and beside it an app of fedner's."""

    def __init__(self, app: ASGIApp, flowers: str, ours: ASGIApp) -> None:
        self._flower = Gate(app, (flowers,))
        self._ours = Gate(ours, (PREFIX,))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to the one it is for."""
        to = self._ours if scope.get("path", "").startswith(PREFIX) else self._flower
        await to(scope, receive, send)


@dataclass(frozen=True)
class _Tls:
    """Files of the server's certificate and its key."""

    certificate: str
    key: str


def _config(app: ASGIApp, lifespan: Literal["on", "off"], tls: _Tls | None = None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan=lifespan,
        access_log=False,
        log_level="warning",
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=5,
        ssl_certfile=None if tls is None else tls.certificate,
        ssl_keyfile=None if tls is None else tls.key,
    )


async def _watch(state: LinkState) -> None:
    """Log which sites connect and disconnect."""
    online: set[str] = set()
    while True:
        now = {node.name for node in await asyncio.to_thread(registered_nodes, state) if node.online}
        for site in sorted(now - online):
            log_event("site-online", site=site)
        for site in sorted(online - now):
            log_event("site-offline", site=site)
        online = now
        await asyncio.sleep(ONLINE_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
