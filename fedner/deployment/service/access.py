"""Access control: which paths and body sizes each listener accepts, and the token of the control API.

Flower 1.41 serves all its APIs at one port, and without an account plug-in everybody who reaches that port may start a
run, which is to run code on the server. Here the sites' port serves nothing but the API in which every request is
signed by a registered key, and whoever starts, stops or looks at runs shows the coordinator's token.
"""

import hashlib
import hmac
from dataclasses import dataclass

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEALTH = "/health"
LARGEST_BODY = 64 * 1024**2
"""Bytes of one request. Flower cuts tensors into pieces of 5 MiB, so an honest request is far below."""


@dataclass(frozen=True)
class Gate:
    """Restricts a listener to some paths of an app and to bodies of a size; anything else is not found."""

    app: ASGIApp
    prefixes: tuple[str, ...]
    largest_body: int = LARGEST_BODY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":
            return  # nothing speaks WebSocket; the server closes it with 403
        elif not self._lets_through(scope["path"]):
            await PlainTextResponse("not found", 404)(scope, receive, send)
        elif _announced(scope) > self.largest_body:
            await PlainTextResponse("the request is too large", 413)(scope, receive, send)
        else:
            await self.app(scope, _limited(receive, self.largest_body), send)

    def _lets_through(self, path: str) -> bool:
        return path == HEALTH or path.startswith(self.prefixes)


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def _limited(receive: Receive, largest: int) -> Receive:
    """Hang up on a body that turns out longer than it may be."""
    left = largest

    async def limited() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        return message if left >= 0 else {"type": "http.disconnect"}

    return limited


@dataclass(frozen=True)
class CoordinatorToken:
    """The coordinator's token, of which the server holds the SHA-256 (hex) alone."""

    digest: str

    def accepts(self, token: str) -> bool:
        """Say whether this is the token, in the same time for any other."""
        return hmac.compare_digest(token_digest(token), self.digest)

    def bearer(self, authorization: str) -> bool:
        """Say whether an Authorization header shows this token."""
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self.accepts(token)


def token_digest(token: str) -> str:
    """Return what the server keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
