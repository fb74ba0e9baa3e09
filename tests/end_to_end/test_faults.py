"""Real processes that are killed, stopped and starved: every fault must end as its line in the fault table expects."""

import random
import signal
from pathlib import Path

import pytest
from faults import FAULTS, Fault
from simulation import WORKERS, Bench, Run

NAMED = {fault.name: fault for fault in FAULTS}
IN_CI = (
    "reply: garbage, one of ten sites",
    "server killed (-9) while it checkpoints",
    "disk full while it checkpoints",
    "site's process killed (-9), every site mandatory, retry",
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("faults"), random.Random(1))


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_CI)
def test_a_fault_ends_as_the_table_says(name: str, bench: Bench):
    found = NAMED[name].play(bench)
    assert found.as_expected, found


@pytest.mark.deploy
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_ends_as_the_table_says(fault: Fault, bench: Bench):
    found = fault.play(bench)
    assert found.as_expected, found


def test_sigterm_ends_a_simulation_and_its_workers_and_says_how_to_go_on(tmp_path: Path):
    run = Run(tmp_path / "run", (WORKERS,))
    process = run.start()
    run.until("run started", 0)
    workers = run.workers()
    process.send_signal(signal.SIGTERM)
    assert run.wait() == 130
    assert len(workers) == 2
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert run.said(f"fedner simulate resume={run.path}")
    assert not run.said("Traceback")
