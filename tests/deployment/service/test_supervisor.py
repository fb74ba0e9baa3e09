"""Processes that are kept running: restarted when they die, ended with all that they started, given up in the end."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from fedner.deployment.service import supervisor
from fedner.deployment.service.flower_programs import MAX_FAILURES
from fedner.deployment.service.supervisor import Program, Supervisor, wait_seconds
from fedner.flower.link_state import OFFLINE_SECONDS

SHELL = "/bin/sh"


def new_supervisor(folder: Path, *scripts: str, **options) -> Supervisor:
    programs = [Program(f"p{number}", [SHELL, "-c", script]) for number, script in enumerate(scripts)]
    return Supervisor(programs, dict(os.environ), folder, folder / "log" / "it.log", **options)


def until(condition) -> None:
    while not condition():
        time.sleep(0.05)


def alive(pid_file: Path) -> bool:
    """Say whether the process whose id a file has is there and no zombie."""
    stat = Path(f"/proc/{pid_file.read_text().strip()}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_stopping_ends_what_the_processes_started_and_even_what_ignores_sigterm(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "GRACE_SECONDS", 1.0)
    gentle = "sleep 600 & echo $! > child; wait"
    stubborn = "trap '' TERM; echo $$ > stubborn; while :; do sleep 0.1; done"
    here = new_supervisor(tmp_path, gentle, stubborn)
    files = [tmp_path / "child", tmp_path / "stubborn"]

    def stop_when_up() -> None:
        until(lambda: all(file.exists() and file.read_text().strip() for file in files))
        here.stop()

    threading.Thread(target=stop_when_up, daemon=True).start()
    assert here.run()
    until(lambda: not any(alive(file) for file in files))


def test_a_process_that_dies_is_started_again_and_the_others_stay(tmp_path, capfd):
    dies_once = "echo x >> starts; test $(wc -l < starts) -gt 1 && sleep 600; exit 7"
    here = new_supervisor(tmp_path, dies_once, "echo y >> others; sleep 600")

    def stop_after_two() -> None:
        until(lambda: (tmp_path / "starts").exists() and (tmp_path / "starts").read_text() == "x\nx\n")
        until(lambda: (tmp_path / "others").exists() and (tmp_path / "others").read_text() == "y\n")
        here.stop()

    threading.Thread(target=stop_after_two, daemon=True).start()
    assert here.run()
    assert (tmp_path / "others").read_text() == "y\n"
    assert "event=died process=p0 status=7 restart-in-seconds=1" in capfd.readouterr().out


def test_a_process_that_does_not_stay_up_is_given_up_and_the_others_end(tmp_path, capfd):
    stays = "echo $$ > other; exec sleep 600"
    here = new_supervisor(tmp_path, "until test -s other; do sleep 0.05; done; exit 1", stays, max_failures=2)
    assert not here.run()
    assert "event=given-up process=p0" in capfd.readouterr().out
    if sys.platform == "linux":
        assert not alive(tmp_path / "other")


def test_deaths_of_a_process_that_worked_between_them_do_not_add_up(tmp_path, monkeypatch, capfd):
    # Else a site that has just come back itself would be lost for good when its server is restarted.
    monkeypatch.setattr(supervisor, "STEADY_SECONDS", 0.0)  # each has run so long
    here = new_supervisor(tmp_path, "echo x >> starts; exit 1", max_failures=2)

    def stop_after_four() -> None:
        until(lambda: (tmp_path / "starts").exists() and (tmp_path / "starts").read_text().count("x") >= 4)
        here.stop()

    threading.Thread(target=stop_after_four, daemon=True).start()
    assert here.run()
    assert "given-up" not in capfd.readouterr().out


def test_a_site_that_was_killed_is_not_given_up_before_the_server_has_noticed():
    # As long as its predecessor counts as connected, a SuperNode is turned away at once.
    waited = sum(wait_seconds(failures) for failures in range(1, MAX_FAILURES))
    assert waited > OFFLINE_SECONDS


def test_what_processes_print_is_in_the_log_without_colours(tmp_path, capfd):
    here = new_supervisor(
        tmp_path, "printf '\\033[92mINFO\\033[0m of Flower\\n'; printf 'time=1 event=ours\\n'; sleep 600"
    )
    log = tmp_path / "log" / "it.log"

    def stop_when_told() -> None:
        until(lambda: log.exists() and "ours" in log.read_text())
        here.stop()

    threading.Thread(target=stop_when_told, daemon=True).start()
    here.run()
    assert "p0 | INFO of Flower\n" in log.read_text()
    told = capfd.readouterr().out
    assert "time=1 event=ours" in told
    assert "of Flower" not in told
