"""The status page, and the same as JSON: read-only, over TLS, for viewers with a valid password.

A browser asks for the password by HTTP Basic authentication and keeps it for the page alone, so that it stands in no
address, file or log. There is no script in the page, nothing to change on the server, and no answer without TLS.
"""

import asyncio
import http
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from fedner.deployment.monitoring.credentials import Viewer, Viewers, password_of
from fedner.deployment.monitoring.status import Status, seen_by, status_to_json
from fedner.deployment.service.downloads import PREFIX

STATUS_PATH = f"{PREFIX}status"
LARGEST_HEAD = 16 * 1024
"""Bytes of a request's line and headers; it has no body."""
CONNECTION_SECONDS = 30.0
"""After so long a connection ends, whatever it is at."""
MOST_CONNECTIONS = 64
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Stand on every answer. Inline styles are the page's own and its figures'; nothing else is loaded or run."""

Look = Callable[[], Status]


def status_route(look: Look, who: Callable[[str], Viewer | None]) -> Route:
    """Return a route of the status as JSON, beside one of Flower's APIs.

    Args:
        look: returns what the coordinator may see.
        who: says who shows an Authorization header; None is nobody.
    """

    async def endpoint(request: Request) -> Response:
        viewer = who(request.headers.get("authorization", ""))
        if viewer is None:
            return PlainTextResponse("expected a password that holds", http.HTTPStatus.UNAUTHORIZED)
        seen = seen_by(await run_in_threadpool(look), viewer.site)
        return JSONResponse(status_to_json(seen), headers={"Cache-Control": "no-store"})

    return Route(STATUS_PATH, endpoint)


def page_app(look: Look, viewers: Viewers, render: Callable[[Status], str]) -> ASGIApp:
    """Return the app of the page: `/` for people, `/status.json` for machines, and nothing else.

    Args:
        look: returns what the coordinator may see.
        viewers: who may see it, or a part of it.
        render: draws the page.
    """

    async def page(request: Request) -> Response:
        return HTMLResponse(await run_in_threadpool(lambda: render(seen_by(look(), request.scope["viewer"].site))))

    async def status(request: Request) -> Response:
        return JSONResponse(status_to_json(seen_by(await run_in_threadpool(look), request.scope["viewer"].site)))

    return _Authenticated(Starlette(routes=[Route("/", page), Route("/status.json", status)]), viewers)


def basic(viewers: Viewers) -> Callable[[str], Viewer | None]:
    """Return who shows an Authorization header of HTTP Basic authentication."""

    def who(authorization: str) -> Viewer | None:
        password = password_of(authorization)
        return None if password is None else viewers.authenticate(password, datetime.now(UTC))

    return who


@dataclass(frozen=True)
class _Authenticated:
    """Admits viewers with a valid password to read, and sets the headers of every answer."""

    app: ASGIApp
    viewers: Viewers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self.app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("there is nothing here but to look", 405, {"Allow": "GET, HEAD"})
        pieces = (scope["path"].encode(), scope["query_string"], *(part for pair in headers.raw for part in pair))
        if sum(map(len, pieces)) > LARGEST_HEAD:
            return PlainTextResponse("the request is too long", 431, {"Connection": "close"})
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            return PlainTextResponse("expected a request without a body", 413, {"Connection": "close"})
        viewer = basic(self.viewers)(headers.get("authorization", ""))
        if viewer is None:
            realm = f'Basic realm="fedner {self.viewers.federation}", charset="UTF-8"'
            said = "expected a password that holds; `fedner status KIT --password` prints one\n"
            return PlainTextResponse(said, 401, {"WWW-Authenticate": realm})
        scope["viewer"] = viewer
        return None


class _ShortLived(H11Protocol):
    """HTTP on connections of limited duration, so that slow clients cannot hold them."""

    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, and set the end."""
        super().connection_made(transport)
        self._end = self.loop.call_later(CONNECTION_SECONDS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the end."""
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)


def page_config(app: ASGIApp, certificate: str, key: str) -> uvicorn.Config:
    """Return how the page is served; there is no way to serve it without a certificate."""
    return uvicorn.Config(
        app, lifespan="off", access_log=False, log_level="warning", server_header=False, ws="none", http=_ShortLived,
        h11_max_incomplete_event_size=LARGEST_HEAD, limit_concurrency=MOST_CONNECTIONS, timeout_keep_alive=5,
        timeout_graceful_shutdown=5, ssl_certfile=certificate, ssl_keyfile=key,
    )  # fmt: skip
