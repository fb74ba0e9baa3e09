"""What a listener lets through, and whose token counts."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from fedner.deployment.service.access import CoordinatorToken, Gate, token_digest
from fedner.flower.account_auth import ACCESS_TOKEN_KEY, TokenAuthn


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{request.url.path} {len(await request.body())}")


APP = Starlette(routes=[Route("/{rest:path}", echo, methods=["GET", "POST"])])


def ask(path: str, body: bytes | None = None, pieces: list[bytes] | None = None) -> httpx.Response:
    async def pieces_of():
        for piece in pieces or []:
            yield piece

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(Gate(APP, ("/v1/fleet/",), largest_body=10), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(path, content=pieces_of() if pieces else body)

    return asyncio.run(asked())


def test_only_the_listeners_own_paths_and_its_health_exist():
    assert ask("/v1/fleet/pull-messages").text == "/v1/fleet/pull-messages 0"
    assert ask("/health").status_code == 200
    for path in ("/v1/control/start-run", "/v1/runtime/acquire-task", "/docs", "/", "/v1/fleet", "/healthy"):
        assert ask(path).status_code == 404, path


@pytest.mark.parametrize("path", ["/v1/fleet/../control/start-run", "/v1/fleet/%2e%2e/control/start-run"])
def test_a_detour_leads_nowhere_else(path):
    answer = ask(path)
    assert answer.status_code == 404 or answer.text.startswith("/v1/fleet/")


def test_a_body_of_the_size_passes_and_a_larger_one_does_not_however_it_is_sent():
    assert ask("/v1/fleet/x", b"0123456789").text == "/v1/fleet/x 10"
    assert ask("/v1/fleet/x", b"0123456789a").status_code == 413
    assert ask("/v1/fleet/x", pieces=[b"01234", b"56789"]).text == "/v1/fleet/x 10"
    assert ask("/v1/fleet/x", pieces=[b"01234", b"567890"]).status_code == 500  # hung up on in the middle


def test_only_the_token_is_accepted():
    authn = TokenAuthn(CoordinatorToken(token_digest("secret")).accepts)
    assert authn.validate_tokens_in_metadata([(ACCESS_TOKEN_KEY, "secret")])[0]
    for metadata in ([], [(ACCESS_TOKEN_KEY, "Secret")], [(ACCESS_TOKEN_KEY, "")], [("other", "secret")]):
        assert authn.validate_tokens_in_metadata(metadata) == (False, None)
    assert authn.validate_tokens_in_metadata([(ACCESS_TOKEN_KEY, "secret")] * 2) == (False, None)
    assert authn.refresh_tokens([]) == (None, None)


@pytest.mark.parametrize(
    ("header", "shows"),
    [("Bearer secret", True), ("bearer secret", True), ("Basic secret", False), ("secret", False), ("Bearer ", False)],
)
def test_a_header_shows_the_token_as_a_bearer_or_not_at_all(header: str, shows: bool):
    assert CoordinatorToken(token_digest("secret")).bearer(header) is shows
