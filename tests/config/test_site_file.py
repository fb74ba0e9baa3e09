"""A site file is read strictly: what it says is what holds, and everything else is refused with file and key."""

from datetime import datetime
from pathlib import Path

import pytest

from fedner.config.policy import Request, ScoresTold, SitePolicy, parse_hours
from fedner.config.site import read_site
from fedner.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_relative_paths_are_seen_from_the_site_file(tmp_path: Path, monkeypatch):
    monkeypatch.chdir("/")
    text = "site: north\ndata: {train: [a/t.conll, /abs/u.conll]}\naudit: {path: log/audit.jsonl, anchor: heads}\n"
    site = read_site(written(tmp_path, text))
    assert site.data.train == [str(tmp_path / "a/t.conll"), "/abs/u.conll"]
    assert site.audit.path == str(tmp_path / "log/audit.jsonl")
    assert site.audit.anchor == str(tmp_path / "heads")


def test_a_policy_that_is_left_out_lets_an_ordinary_run_through_and_keeps_documents_back(tmp_path: Path):
    policy = read_site(written(tmp_path, "site: north\n")).policy
    assert policy.requests == list(Request)
    assert (policy.dev.tell, policy.test.tell) == (ScoresTold.all, ScoresTold.all)
    assert not policy.document_counts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("policy: {max_round: 3}", "policy.max_round: .*did you mean 'policy.max_rounds'"),
        ("polcy: {}", "polcy: .*did you mean 'policy'"),
        ("policy: {privacy_floor: 3.0}", "policy.privacy_floor: expected null"),
        ("policy: {dev: {tell: some}}", "policy.dev.tell: .*supported"),
        ("policy: {test: {tell: listed}}", "policy.test.types: expected contract types"),
        ("policy: {label_counts: false}", "policy.label_counts: expected true where dev and test scores leave"),
        ("policy: {hours: ['mon 25:00-26:00']}", "policy.hours: expected days and hours"),
        ("policy: {contracts: [abc]}", "policy.contracts: expected 64 hexadecimal"),
        ("machine: {nice: 30}", "machine.nice: expected 0 to 19"),
        ("machine: {gpu_memory_fraction: 2}", "machine.gpu_memory_fraction: expected"),
        ("policy: {runs: ['${oc.env:HOME}']}", "policy.runs: expected a plain value"),
        ("policy: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("site: south", "'site' is given twice"),
        ("policy: [train]", "site file: "),
    ],
)
def test_a_wrong_site_file_is_refused_with_file_and_key(tmp_path: Path, text: str, said: str):
    path = written(tmp_path, f"site: north\n{text}\n")
    with pytest.raises(ConfigError, match=rf"{path}: .*{said}"):
        read_site(path)


@pytest.mark.parametrize(
    ("window", "moment", "holds"),
    [
        # 2026-03-06 is a Friday.
        ("mon-fri 20:00-06:00", "2026-03-06 20:00", True),
        ("mon-fri 20:00-06:00", "2026-03-06 19:59", False),
        ("mon-fri 20:00-06:00", "2026-03-07 05:59", True),  # Saturday morning belongs to Friday's night
        ("mon-fri 20:00-06:00", "2026-03-07 06:00", False),
        ("mon-fri 20:00-06:00", "2026-03-02 05:00", False),  # Monday morning would be Sunday's night
        ("sat-sun 00:00-24:00", "2026-03-08 23:59", True),
        ("sat-sun 00:00-24:00", "2026-03-06 23:59", False),
        ("fri-mon 08:00-09:00", "2026-03-08 08:30", True),  # days may run over the end of the week
        ("22:00-05:00", "2026-03-04 23:00", True),
    ],
)
def test_hours_hold_on_their_days_and_beyond_midnight(window: str, moment: str, holds: bool):
    now = datetime.fromisoformat(moment)
    assert parse_hours(window).hold(now.weekday(), 60 * now.hour + now.minute) is holds


def test_scores_are_told_only_if_asked_for_and_not_kept():
    assert SitePolicy().tells(Request.dev)
    assert not SitePolicy(requests=[Request.hello, Request.train]).tells(Request.dev)
