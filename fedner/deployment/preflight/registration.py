"""Checks that the server knows a site's key: asked by the preflight, answered beside Flower's API, read-only.

Flower can only be asked by connecting, which would make the site a member for a moment. The question is signed as
Flower's requests are, over another text, so that neither can pass for the other.
"""

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fedner.deployment.preflight.findings import Finding, failed, ok, skipped
from fedner.flower.signing import (
    LARGEST_AGE_SECONDS,
    LARGEST_LEAD_SECONDS,
    bytes_to_public_key,
    public_key_to_bytes,
    sign_message,
    verify_signature,
)

PATH = "/fedner/v1/registration"
LARGEST_ANSWER = 10_000
_KEY, _MOMENT, _SIGNATURE = "fedner-key", "fedner-moment", "fedner-signature"
_CHECK = "registered"


class Refusal(StrEnum):
    """Reasons for which a question is not answered."""

    malformed = "malformed"
    clock = "clock"
    unknown = "unknown"


@dataclass(frozen=True)
class Answer:
    """The server's answer: the name that the key is registered under, or why there is none."""

    site: str | None
    refusal: Refusal | None = None


def question(key: EllipticCurvePrivateKey, now: datetime) -> dict[str, str]:
    """Return the headers of a question, signed at a moment by a site's private key."""
    moment = now.isoformat()
    return {
        _KEY: _encoded(public_key_to_bytes(key.public_key())),
        _MOMENT: moment,
        _SIGNATURE: _encoded(sign_message(key, _signed(moment))),
    }


def answer(headers: dict[str, str], known: Callable[[bytes], str | None], now: datetime) -> Answer:
    """Answer a question.

    Args:
        headers: of the request, names in lower case.
        known: public key (PEM) -> the registered site's name, None if there is none.
        now: the server's clock.
    """
    try:
        key, signature = (base64.b64decode(headers[name], validate=True) for name in (_KEY, _SIGNATURE))
        moment = headers[_MOMENT]
        age = now - datetime.fromisoformat(moment)
        genuine = verify_signature(bytes_to_public_key(key), _signed(moment), signature)
    except (KeyError, ValueError, TypeError, AttributeError, binascii.Error):
        return Answer(None, Refusal.malformed)
    if not genuine:
        return Answer(None, Refusal.malformed)
    tolerance = timedelta(seconds=LARGEST_LEAD_SECONDS)
    if not -tolerance < age < timedelta(seconds=LARGEST_AGE_SECONDS) + tolerance:
        return Answer(None, Refusal.clock)
    site = known(key)
    return Answer(site, None if site is not None else Refusal.unknown)


def registration(known: Callable[[bytes], str | None]) -> Starlette:
    """Return the app that answers; `known` as in `answer`."""

    async def endpoint(request: Request) -> Response:
        found = await run_in_threadpool(answer, dict(request.headers), known, datetime.now(UTC))
        status = HTTPStatus.OK if found.site is not None else HTTPStatus.UNAUTHORIZED
        return JSONResponse({"site": found.site, "refusal": found.refusal}, status)

    return Starlette(routes=[Route(PATH, endpoint)])


def unasked() -> Finding:
    """Return the finding where the server could not be asked."""
    return skipped(_CHECK, "not asked, since the way to the server or the key is not right yet")


def judge(status: int, body: bytes, site: str) -> Finding:
    """Interpret a server's reply to a site's question."""
    if status not in (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED):
        return skipped(_CHECK, f"the server does not say (status {status}); `fedner client` will show")
    try:
        reply = json.loads(body)
        known_as, refusal = reply["site"], reply["refusal"]
    except (ValueError, KeyError, TypeError):
        return skipped(_CHECK, "the server's answer cannot be read; `fedner client` will show")
    if known_as == site:
        return ok(_CHECK, f"the server knows this key as '{site}'")
    if isinstance(known_as, str):
        remedy = f"ask the coordinator which site's key this is; the one in your kit should be '{site}'"
        return failed(_CHECK, "the server knows this key under another site's name", remedy)
    if refusal == Refusal.clock:
        return failed(_CHECK, "the server finds the clocks too far apart", "let NTP set the clock of both")
    remedy = (
        "ask the coordinator: the server may still run with an older kit that lacks this key, or the key was revoked"
    )
    return failed(_CHECK, "the server does not know this key", remedy)


def _signed(moment: str) -> bytes:
    return f"fedner registration {moment}".encode("ascii")


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
