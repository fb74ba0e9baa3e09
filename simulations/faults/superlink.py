"""Faults of a deployment: SuperNodes and the ServerApp are killed or hang in the middle of rounds."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

from deployment import Deployment, deployment, events, signal_tree, wait_until
from report import Found
from simulation import SITES, Bench, rounds_lost

from fedner.config import Config, from_plain, loads, to_plain
from fedner.files import read_json
from fedner.simulation.running import run_in_process

ROUNDS = 3
SECONDS = 1500.0


def config_for(folder: Path) -> Config:
    """Three sites, none of which a round may do without."""
    from replies import CONFIG

    plain = to_plain(loads(CONFIG))
    plain["data"]["institutions"] = 3
    plain["training"]["optimizer_state"] = "keep"
    plain["federation"] |= {"rounds": ROUNDS, "mandatory": list(SITES), "missed_quorum": "retry", "retries": 3}
    return replace(from_plain(plain), name="run", output=str(folder / "runs"))


def deployment_fault(bench: Bench) -> Found:
    """Kill a SuperNode, let another hang, kill the ServerApp, each in a round of its own."""
    folder = bench.folder / "deployment"
    config = config_for(folder)
    path = folder / "runs" / "run"
    with deployment(folder, len(SITES)) as ours:
        ours.run(config)
        _until(path, "round started", 1)
        time.sleep(bench.chance.uniform(0, 5))
        ours.kill_site(1)
        ours.start_site(1)
        _until(path, "round started", 2)
        signal_tree(ours.sites[2].pid, signal.SIGSTOP)
        _until(path, "quorum missed", 2)
        signal_tree(ours.sites[2].pid, signal.SIGCONT)
        _until(path, "reply accepted", 3)
        os.kill(ours.server_app(), signal.SIGKILL)
        _resume(ours, config, path)
    told = _told(path)
    here = run_in_process(config, bench.folder / "deployment-in-process")
    there = read_json(path / "result.json")
    equal = there["state_digest"] == here.result.state_digest and there["test"] == here.result.test.to_json()
    result = "the same bytes as in process" if equal else "other bytes than in process"
    lost = rounds_lost(path)
    return Found(told, lost, result, equal and lost == 0)


def _until(path: Path, event: str, number: int) -> None:
    wait_until(lambda: any(one["event"] == event and one.get("round") == number for one in events(path)), SECONDS)


def _resume(ours: Deployment, config: Config, path: Path) -> None:
    wait_until(lambda: not _alive(ours), 60)
    ours.run(config, resume=True)
    wait_until((path / "result.json").exists, SECONDS)


def _alive(ours: Deployment) -> bool:
    try:
        ours.server_app()
    except StopIteration:
        return False
    return True


def _told(path: Path) -> str:
    """Return what the history has beside the usual, in order."""
    told: list[str] = []
    away: set[str] = set()
    for one in events(path):
        about = one.get("site") or one.get("then") or ""
        if one["event"] == "site left":
            away.add(about)
        elif one["event"] == "site joined":
            if about not in away:
                continue
            away.remove(about)
        elif one["event"] not in ("reply refused", "quorum missed", "site refused", "reply ignored", "run resumed"):
            continue
        told.append(f"{one['event']} {about}".strip() + (f" (round {one['round']})" if "round" in one else ""))
    return ", ".join(told)
