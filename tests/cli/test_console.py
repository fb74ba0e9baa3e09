"""Progress as a person sees it: plain lines in a file, a living line on a terminal, nothing of either on stdout."""

import io
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from scripted_grid import Clock

from fedner.cli.console import Lines, Standing
from fedner.metrics import PRF, Counts, Macro, Score
from fedner.records.results import RoundRecord
from fedner.refusals import Refusal, RefusalCode, no_reply, unusable

# Two rounds of what a federation tells; the second waits for a file that the test makes, where it names one.
PROGRAM = """
import signal, sys, time
from pathlib import Path
from fedner.cli.console import watching
from tests_console_rounds import entry
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests were started in the background
with watching() as progress:
    progress.run_started("run directory [runs/a]")
    for number in (1, 2):
        before = [entry(each) for each in range(1, number)]
        progress.round_started(number, 2, before)
        for site in (1, 2, 3):
            progress.advanced(site, 3, "sites")
        while number == 2 and sys.argv[1:] and not Path(sys.argv[1]).exists():
            time.sleep(0.01)
        progress.round_finished(entry(number), 2)
print("result")
"""

ROUNDS = """
from fedner.metrics import PRF, Counts, Macro, Score
from fedner.records.results import RoundRecord
from fedner.refusals import RefusalCode, no_reply, unusable

def entry(number):
    prf = PRF.of(tp=number, fp=1, fn=1)
    return RoundRecord(round=number, dev=Score(Counts((), (), ()), prf, Macro(0.0, 0.0, 0.0), {}),
                       seconds=1.0, train_loss=0.5, sites=("a", "b"),
                       refused={"c": no_reply(RefusalCode.silent, "no reply"),
                                "d": unusable(RefusalCode.diverged, "not finite")})
"""


def entry(number: int, tp: int, seconds: float = 1.0, **others: object) -> RoundRecord:
    """One false positive and one miss: F1 is tp / (tp + 1)."""
    dev = Score(Counts((tp,), (1,), (1,)), PRF.of(tp=tp, fp=1, fn=1), Macro(0.0, 0.0, 0.0), {})
    return RoundRecord(round=number, dev=dev, seconds=seconds, **others)


def told(entries: list[RoundRecord], rounds: int) -> list[str]:
    console = Console(file=io.StringIO(), soft_wrap=True, highlight=False)
    lines = Lines(console)
    for index, each in enumerate(entries):
        lines.round_started(each.round, rounds, entries[:index])
        lines.round_finished(each, rounds)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_rounds_line_says_who_counted_who_was_missing_and_who_was_refused():
    refused = {"c": no_reply(RefusalCode.silent, "no reply"), "d": unusable(RefusalCode.diverged, "not finite")}
    (line,) = told([entry(1, tp=3, train_loss=0.25, sites=("a", "b"), refused=refused)], rounds=1)
    assert line == "  round 1/1  dev F1 0.7500  loss 0.2500  2 sites  missing c  refused d  1.0 s"


def test_a_skipped_round_has_no_score():
    refused = {"a": Refusal(RefusalCode.data, "unreadable")}
    (line,) = told([RoundRecord(round=1, dev=None, seconds=2.0, refused=refused)], rounds=1)
    assert line == "  round 1/1  no dev F1  refused a  2.0 s"


def test_the_time_left_is_the_mean_of_the_rounds_so_far_for_each_to_come():
    # 30 and 60 s in two of five rounds: 45 s each for three more are 2:15 min.
    lines = told([entry(1, tp=1, seconds=30.0), entry(2, tp=1, seconds=60.0)], rounds=5)
    assert lines[1].endswith("60.0 s, 2:15 min left")


def test_a_resumed_run_knows_what_came_before_it(monkeypatch: pytest.MonkeyPatch):
    clock = Clock()
    monkeypatch.setattr("fedner.cli.console.time", clock)
    standing = Standing(4, 5, [entry(1, tp=1), entry(2, tp=9), entry(3, tp=3)], began=clock.monotonic())
    assert standing.scores() == "dev F1 0.7500, best 0.9000 in round 2"
    clock.now = 0.25
    assert standing.seconds_left() == 1.75  # a second of this round, less what has passed of it, and one more round


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    (tmp_path / "tests_console_rounds.py").write_text(ROUNDS)
    (tmp_path / "program.py").write_text(PROGRAM)
    return [sys.executable, str(tmp_path / "program.py")]


def started_on_terminal(command: list[str]) -> tuple[subprocess.Popen[bytes], int]:
    """Start a command whose stderr is a terminal of 100 columns and whose stdout is a pipe."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    return process, ours


def read_until(terminal: int, wanted: str = "") -> str:
    """Return what the terminal shows until a text has come, or, with none wanted, until the program has left it."""
    shown = b""
    while not (wanted and wanted in plain(shown.decode(errors="replace"))):
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not part:
            break
        shown += part
    return shown.decode(errors="replace")


def plain(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


LAST_SITE = "round 2/2  ━━━━━━━━━━━━━━━━  3/3 sites"


def test_a_terminal_shows_a_living_line_and_is_left_clean(program: list[str], tmp_path: Path):
    process, terminal = started_on_terminal([*program, str(tmp_path / "gate")])
    shown = read_until(terminal, LAST_SITE)
    (tmp_path / "gate").touch()
    shown += read_until(terminal)
    out, _ = process.communicate()
    os.close(terminal)
    assert (process.returncode, out) == (0, b"result\n")
    text = plain(shown)
    assert "run directory [runs/a]" in text
    assert re.search(r"round 2/2  ━{16}  3/3 sites  \d s left  dev F1 0\.5000, best 0\.5000 in round 1", text)
    assert "  round 2/2  dev F1 0.6667  loss 0.5000  2 sites  missing c  refused d  1.0 s" in text
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is there again
    assert shown.rindex("\x1b[2K") > shown.rindex("━")  # the living line has been wiped after it was last drawn


def test_ctrl_c_leaves_the_terminal_clean(program: list[str], tmp_path: Path):
    process, terminal = started_on_terminal([*program, str(tmp_path / "gate")])
    shown = read_until(terminal, LAST_SITE)
    process.send_signal(signal.SIGINT)
    shown += read_until(terminal)
    process.communicate()
    os.close(terminal)
    assert process.returncode != 0
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    assert shown.rindex("\x1b[2K") > shown.rindex("━")


def test_without_a_terminal_there_are_plain_lines_only(program: list[str]):
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.stdout == "result\n"
    assert done.stderr.splitlines() == [
        "run directory [runs/a]",
        "  round 1/2  dev F1 0.5000  loss 0.5000  2 sites  missing c  refused d  1.0 s, 1 s left",
        "  round 2/2  dev F1 0.6667  loss 0.5000  2 sites  missing c  refused d  1.0 s",
    ]
