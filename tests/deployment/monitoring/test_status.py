"""From a history written by hand to what is seen of it: by the coordinator, and by a site, which sees no other."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from watched import DIVERGED, finished, half_way, hostile, joined, line, run_view, started, status

from fedner.cli.verbs.deployment.watching import status_lines
from fedner.deployment.monitoring import phrases
from fedner.deployment.monitoring.status import Doing, Phase, RunView, SiteInRun, read_status, seen_by, status_to_json
from fedner.errors import FederationError
from fedner.records.events import RunResumed, SiteLeft
from fedner.records.progress import seconds_left

# Long enough never to stand in a view by chance, and of the characters that names of sites have.
NAMES = st.lists(st.from_regex(r"[A-Z][A-Za-z0-9_-]{11,20}", fullmatch=True), min_size=3, max_size=3, unique=True)


def site(view: RunView, name: str) -> SiteInRun:
    (found,) = [each for each in view.sites if each.name == name]
    return found


def test_a_run_in_the_middle_of_a_round_says_how_far_it_and_its_sites_are():
    view = run_view(half_way())
    progress = view.progress
    assert (progress.phase, progress.round, progress.planned) == (Phase.train, 3, 5)
    assert [(entry.round, entry.dev_f1, entry.sites) for entry in progress.rounds] == [(1, 0.6, 2), (2, 0.5, 2)]
    assert (progress.best_round, progress.best_f1) == (1, 0.6)
    assert (progress.sites, progress.asked, progress.answered) == (3, 2, 1)
    north, south, east = (site(view, name) for name in ("north", "south", "east"))
    assert (north.doing, north.round, north.counted) == (Doing.answered, 3, 2)
    assert (south.doing, south.counted, south.num_refusals) == (Doing.working, 2, 1)
    assert (east.doing, east.counted, east.num_refusals, east.suspended) == (Doing.suspended, None, 2, DIVERGED)
    assert [(each.round, each.phase) for each in east.refusals] == [(1, "train"), (2, "train")]
    assert len(view.notes) == 2  # the nameless node, and the quorum that was missed


def test_the_time_left_is_that_of_the_terminals_estimate():
    # Rounds took 30 and 60 s, 45 s in the mean. Round 3 of 5 began 10 s ago: 35 s of it, and two more of 45 s.
    assert seconds_left([30.0, 60.0], 3, 5, 10.0) == 125.0
    assert run_view(half_way(), seconds=120.0).progress.seconds_left == 125.0
    # Tried again, round 2 began at 41 s and not at 54 s: 30 s are over at 71 s, three rounds of 30 s are to come.
    assert run_view(half_way()[:19], seconds=56.0).progress.seconds_left == 15.0 + 90.0
    assert run_view(half_way()[:5]).progress.seconds_left is None  # no round yet
    assert run_view(half_way(), process=None).progress.seconds_left is None  # nobody is at work


@pytest.mark.parametrize(
    ("lines", "phase", "north", "east"),
    [(5, Phase.hello, Doing.waiting, Doing.waiting), (6, Phase.train, Doing.working, Doing.working),
     (10, Phase.dev, Doing.working, Doing.waiting), (11, Phase.hello, Doing.answered, Doing.waiting)],
)  # fmt: skip
def test_phases_follow_from_what_was_told_last(lines, phase, north, east):
    view = run_view(half_way()[:lines])
    assert (view.progress.phase, site(view, "north").doing, site(view, "east").doing) == (phase, north, east)


def test_the_end_has_the_test_scores_and_the_last_phase_before_it_is_the_test():
    lines = [*half_way(), *finished("north", "south")]
    assert run_view(lines[:-1]).progress.phase is Phase.test
    assert site(run_view(lines[:-1]), "south").doing is Doing.working
    view = run_view(lines)
    assert (view.progress.phase, view.progress.test_f1, view.progress.best_round) == (Phase.done, 0.65, 3)
    assert (site(view, "north").test_f1, site(view, "east").test_f1) == (0.7, None)


def test_a_resumed_run_forgets_rounds_that_are_played_again_and_waits_for_its_sites():
    resumed = line(200, RunResumed(round=1, rounds=5, state="5b1e", damaged=()))
    view = run_view([*half_way(), resumed, line(201, joined("north"))], seconds=202)
    assert [entry.round for entry in view.progress.rounds] == [1]
    assert (view.progress.sites, site(view, "north").doing, site(view, "south").doing) == (1, Doing.waiting, Doing.away)
    # East was suspended before round 3, which has not come yet.
    assert site(view, "east").suspended is None
    # Round 2 is to begin: 30 s for it, of which 2 are over, and for each of three more.
    assert view.progress.seconds_left == 28.0 + 90.0


def test_a_site_that_left_is_away_and_one_that_is_asked_no_more_rests():
    view = run_view([*half_way(), line(116, SiteLeft(round=3, site="north")), line(117, started(4, "south"))])
    assert [site(view, name).doing for name in ("north", "south", "east")] == [
        Doing.away, Doing.working, Doing.suspended,
    ]  # fmt: skip
    assert view.progress.sites == 2


def test_lines_of_another_version_are_passed_over_and_counted():
    lines = [{"time": "2026-03-02T08:00:00+00:00", "event": "coffee"}, {**half_way()[0], "more": 1}, half_way()[1]]
    del lines[2]["dev_sentences"]
    view = run_view(lines)
    assert view.progress.planned == 5
    assert view.notes == ("another version of fedner wrote 2 lines of its history; they are left out here",)


@given(NAMES, st.sampled_from([1, 5, 9, 10, 17, 24, 28]))
@settings(max_examples=25)
def test_in_what_a_site_sees_there_is_no_other_sites_name_and_the_run_is_whole(names, length):
    own, *others = names
    lines = [*half_way(*names), *finished(*names[:2])][:length]
    whole = status(run_view(lines), north=own, south=others[0], east=others[1])
    seen = seen_by(whole, own)
    told = json.dumps(status_to_json(seen))
    shown = "\n".join([phrases.headline(seen.runs[0].progress), str(phrases.sites_table(seen)), str(seen)])
    assert all(other not in told + shown for other in others)
    assert [run.progress for run in seen.runs] == [run.progress for run in whole.runs]
    assert [each.name for each in seen.sites] == [own]
    assert (seen.registered, seen.online, seen.viewer) == (3, 2, own)


def test_a_site_sees_its_own_refusals_and_the_coordinator_those_of_all():
    whole = status()
    own = seen_by(whole, "east").runs[0]
    assert (len(own.sites), own.sites[0].suspended, own.notes) == (1, DIVERGED, ())
    assert len(phrases.refusals_table(own).rows) == 3  # two refusals and why it is suspended
    assert len(phrases.refusals_table(seen_by(whole, "north").runs[0]).rows) == 0
    assert seen_by(whole, None) is whole
    assert seen_by(whole, "stranger").runs[0].sites == ()


def test_machines_read_what_was_written_and_nothing_of_another_version():
    whole = status()
    plain = json.loads(json.dumps(status_to_json(whole)))
    assert read_status(plain) == whole
    for change in ({"schema": 2}, {"sites": [{"name": "north"}]}, {"more": 1}):
        with pytest.raises(FederationError, match="install the version that the server runs"):
            read_status({**plain, **change})


def test_words_say_what_is_seen():
    whole = status()
    progress = whole.runs[0].progress
    assert phrases.headline(progress) == "round 3 of 5: training, 1 of 2 sites answered"
    assert phrases.scores(progress) == "dev F1 0.500, best 0.600 in round 1"
    assert phrases.time_left(progress) == "2 min 05 s left"
    assert [phrases.at_work(each) for each in whole.runs[0].sites] == [
        "suspended", "has trained in round 3", "trains in round 3",
    ]  # fmt: skip
    assert phrases.last_seen(whole.sites[1], whole.moment) == "seen 12 s ago"
    assert phrases.sites_table(seen_by(whole, "north")).notes == ("2 other sites not shown",)
    assert phrases.headline(run_view(half_way(), process=None).progress).startswith(
        "not running (round 3 of 5: training"
    )


def test_what_a_site_says_cannot_drive_a_terminal():
    shown = status_lines(hostile("\x1b[2J gone\r\nsite north: offline"))
    assert not any(ord(letter) < 32 for line in shown for letter in line)
    assert sum("gone site north: offline" in line for line in shown) == 2  # of the site, and among the notes


def test_the_terminal_shows_runs_and_sites_each_in_a_line():
    assert status_lines(seen_by(status(), "north")) == [
        "federation nord as site north sees it: 2 of 3 sites online",
        "run first: round 3 of 5: training, 1 of 2 sites answered; dev F1 0.500, best 0.600 in round 1; "
        "2 min 05 s left",
        "  round 1: dev F1 0.600, loss 0.5000, 2 sites counted, 30 s",
        "  round 2: dev F1 0.500, loss 0.5000, 2 sites counted, 1 min 00 s",
        "site north: online, seen 12 s ago; has trained in round 3; last counted in round 2",
    ]
    assert (
        "site east: offline, never seen; suspended; 2 refusals, the last in round 2 (train): diverged: the training "
        "loss is not finite"
    ) in status_lines(status())
