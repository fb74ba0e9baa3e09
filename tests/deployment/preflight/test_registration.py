"""Whether the server knows a key: asked with a signature, answered from Flower's own database."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest
from flwr.superlink.config_loader import get_federation_manager, get_objectstore_linkstate_factories

from fedner.deployment.preflight.findings import State
from fedner.deployment.preflight.registration import PATH, Answer, Refusal, answer, judge, question, registration
from fedner.deployment.provisioning.keys import make_key, public_line
from fedner.deployment.service.superlink import register
from fedner.flower.link_state import site_of_key
from fedner.flower.signing import sign_message

# Flower's own migrations configure alembic in a way that alembic has come to warn about.
pytestmark = pytest.mark.filterwarnings("ignore:No path_separator found:DeprecationWarning")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def anyone(key: bytes) -> str:
    return "north"


def ask(app, headers: dict[str, str]) -> httpx.Response:
    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get(PATH, headers=headers)

    return asyncio.run(asked())


def test_a_registered_key_is_known_by_its_name_and_a_revoked_or_strange_one_is_not(tmp_path):
    _, factory = get_objectstore_linkstate_factories(str(tmp_path / "superlink.db"), get_federation_manager())
    north, south, strange = make_key(), make_key(), make_key()
    sites = {name: public_line(key.public_key(), name).decode() for name, key in (("north", north), ("south", south))}
    register(factory.state(), sites)
    register(factory.state(), {"north": sites["north"]})  # south has left the kit
    app = registration(partial(site_of_key, factory.state()))
    told = [ask(app, question(key, datetime.now(UTC))) for key in (north, south, strange)]
    assert [reply.status_code for reply in told] == [200, 401, 401]
    findings = [judge(reply.status_code, reply.content, "north") for reply in told]
    assert [finding.state for finding in findings] == [State.ok, State.failed, State.failed]
    assert "the key was revoked" in findings[1].remedy


@pytest.mark.parametrize(("seconds", "refusal"), [(-6, Refusal.clock), (-4, None), (304, None), (306, Refusal.clock)])
def test_an_old_or_future_question_is_refused(seconds, refusal):
    # As Flower does: 5 s into the future, 300 + 5 s into the past.
    asked = question(make_key(), NOW)
    assert answer(asked, anyone, NOW + timedelta(seconds=seconds)).refusal == refusal


@pytest.mark.parametrize(
    "change",
    [
        lambda asked, other: {**asked, "fedner-key": other["fedner-key"]},
        lambda asked, other: {**asked, "fedner-signature": other["fedner-signature"]},
        lambda asked, other: {**asked, "fedner-moment": (NOW + timedelta(seconds=1)).isoformat()},
        lambda asked, other: {**asked, "fedner-moment": "now"},
        lambda asked, other: {**asked, "fedner-moment": "2026-01-01"},  # without a time zone
        lambda asked, other: {**asked, "fedner-key": "***"},
        lambda asked, other: {**asked, "fedner-key": "bm8ga2V5"},
        lambda asked, other: {},
    ],
)
def test_a_question_that_was_not_signed_by_the_key_in_it_is_refused(change):
    asked, other = question(make_key(), NOW), question(make_key(), NOW)
    assert answer(asked, anyone, NOW) == Answer("north")
    assert answer(change(asked, other), anyone, NOW) == Answer(None, Refusal.malformed)


def test_a_request_signed_for_flower_is_no_question():
    key = make_key()
    asked = question(key, NOW)
    flowers = sign_message(key, asked["fedner-moment"].encode("ascii"))
    asked["fedner-signature"] = base64.b64encode(flowers).decode()
    assert answer(asked, anyone, NOW).refusal == Refusal.malformed


@pytest.mark.parametrize(
    ("status", "body", "state"),
    [
        (200, b'{"site": "north", "refusal": null}', State.ok),
        (200, b'{"site": "south", "refusal": null}', State.failed),
        (401, b'{"site": null, "refusal": "clock"}', State.failed),
        (401, b'{"site": null, "refusal": "unknown"}', State.failed),
        (404, b"not found", State.skipped),
        (200, b"hello", State.skipped),
        (200, b"[]", State.skipped),
    ],
)
def test_every_reply_means_something(status, body, state):
    finding = judge(status, body, "north")
    assert (finding.state, bool(finding.remedy)) == (state, state is State.failed)
