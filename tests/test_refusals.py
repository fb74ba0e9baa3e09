"""Refusals keep their origin and code from the message to the files, whatever a sentence says."""

import pytest

from fedner.refusals import Origin, Refusal, RefusalCode, code_of_site, refusal_from_json


@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize("code", RefusalCode)
def test_a_refusal_survives_the_files(origin: Origin, code: RefusalCode):
    refusal = Refusal(code, "silent: flower-3: a sentence", origin, "dev")
    assert refusal_from_json(refusal.to_json()) == refusal
    assert refusal.is_silence is (origin is Origin.transport)


@pytest.mark.parametrize("code", ["silent", "gone", "spare", "node-lost", "process-failed", "flower-3", "made up", ""])
def test_a_code_that_is_not_a_sites_to_send_is_read_as_other(code: str):
    assert code_of_site(code) is RefusalCode.other


@pytest.mark.parametrize(
    ("text", "phase", "code", "silence"),
    [
        ("silent: no reply within 5 s", "train", RefusalCode.silent, True),
        ("dev: gone: its node has left the federation", "dev", RefusalCode.gone, True),
        ("flower-2: the site's process failed", "train", RefusalCode.process_failed, True),
        ("flower-3: the site's process failed", "train", RefusalCode.node_lost, True),
        ("implausible: expected x, got y", "train", RefusalCode.implausible, False),
        ("policy-hours: not at this hour", "train", RefusalCode.policy_hours, False),
        ("something else", "train", RefusalCode.other, False),
    ],
)
def test_texts_of_older_runs_are_read(text: str, phase: str, code: RefusalCode, silence: bool):
    refusal = refusal_from_json(text)
    assert (refusal.phase, refusal.code, refusal.is_silence) == (phase, code, silence)
