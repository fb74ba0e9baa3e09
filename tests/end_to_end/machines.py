"""A federation on loopback as its docs say: kits, `fedner server`, `fedner client`, each with a folder of its own."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import yaml
from deployment import events, reserved_port, signal_tree, wait_until

from fedner.config import Config, from_plain
from fedner.data.labels import contract_from_config, write_contract
from fedner.data.simulated_sites import load_sites
from fedner.deployment.provisioning.issuing import issue
from fedner.deployment.provisioning.kit import read_kit

FEDNER = [sys.executable, "-c", "from fedner.cli import main; raise SystemExit(main())"]
SECONDS = 2400.0


def config(rounds: int = 2, **training: object) -> Config:
    """Two institutions with a handful of documents each, as a simulation has them."""
    types = {name: f"a {name.lower()}" for name in ("PATIENT", "DRUG", "DOSE", "DATE", "HOSPITAL")}
    contract = {"name": "notes", "version": 1, "types": types}
    documents = {"train_documents": 24, "dev_documents": 8, "test_documents": 8}
    return from_plain(
        {
            "data": {"kind": "synthetic", "institutions": 2, "contract": contract, **documents},
            "partition": {"kind": "natural"},
            "aggregation": {"kind": "fedavg"},
            "model": {"name": "tiny-random"},
            "training": {"lr": 0.01, "threads": 1, **training},
            "federation": {"rounds": rounds, "min_sites": 2},
        }
    )


@dataclass
class Machines:
    """Kits and processes; each process is a machine, with a folder of its own."""

    folder: Path
    kits: Path
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)
    inside: dict[str, list[str]] = field(default_factory=dict)
    """Machine -> what its commands are started with, such as `ip netns exec NAME`."""
    variables: dict[str, dict[str, str]] = field(default_factory=dict)
    """Machine -> environment variables of its own, such as HTTPS_PROXY."""

    @property
    def sites(self) -> list[str]:
        """The sites that have text."""
        return sorted(path.name for path in (self.folder / "text").iterdir())

    @property
    def control_port(self) -> int:
        """Where the coordinator's commands connect."""
        return read_kit(self.kits / "server").ports.control

    def start(self, name: str, *arguments: str) -> None:
        place = self.folder / name
        place.mkdir(exist_ok=True)
        with (place / "out").open("a") as out:
            self.processes[name] = subprocess.Popen(
                [*self.inside.get(name, []), *FEDNER, *arguments], cwd=place, stdout=out, stderr=out,
                env=environment() | self.variables.get(name, {}),
            )  # fmt: skip

    def start_server(self, host: str = "127.0.0.1") -> None:
        self.start("server", "server", str(self.kits / "server"), "--host", host, "--state", "state")

    def start_site(self, site: str, kit: Path | None = None, machine: str | None = None) -> None:
        """Start a site; with another kit, or as another machine that calls itself so."""
        file, kit = self.folder / "text" / site / "site.yaml", kit or self.kits / f"site-{site}"
        self.start(machine or site, "client", str(kit), "--site", str(file), "--state", "state")

    def said(self, name: str) -> str:
        return (self.folder / name / "out").read_text()

    def logged(self, name: str) -> str:
        """Return what a machine's processes printed."""
        return "".join(path.read_text() for path in (self.folder / name / "state" / "log").glob("*.log"))

    def until_said(self, name: str, words: str, times: int = 1) -> None:
        def said() -> bool:
            assert self.processes[name].poll() is None, self.said(name)
            return self.said(name).count(words) >= times

        wait_until(said, SECONDS)

    def pid(self, name: str, process: str) -> int:
        """Return the process id of one of a machine's processes, as it said last."""
        return int(re.findall(rf"event=started process={process} pid=(\d+)", self.said(name))[-1])

    def ask(self, verb: str, *arguments: str) -> str:
        command = [*self.inside.get("server", []), *FEDNER, verb, str(self.kits / "coordinator"), *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=environment(), capture_output=True, text=True, check=True
        ).stdout

    def history(self, run: str) -> list[dict]:
        return events(self.folder / "server" / "state" / "runs" / run)

    def until_event(self, run: str, event: str, number: int | None = None) -> None:
        """Wait until a run's history has an event, of a round if that is given."""

        def happened() -> bool:
            return any(line["event"] == event and number in (None, line["round"]) for line in self.history(run))

        wait_until(happened, SECONDS)

    def result(self, run: str) -> dict:
        """Wait until a run has come to its end, and return what came of it."""
        path = self.folder / "server" / "state" / "runs" / run / "result.json"
        wait_until(path.exists, SECONDS)
        return json.loads(path.read_text())

    def trail(self, site: str) -> list[dict]:
        path = self.folder / "text" / site / "audit.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def stop(self, name: str) -> int:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(120)

    def kill(self, name: str) -> None:
        """SIGKILL a machine's processes, all of them at once, as a power failure would."""
        process = self.processes.pop(name)
        signal_tree(process.pid, signal.SIGKILL)
        process.wait()


def environment() -> dict[str, str]:
    return {**os.environ, "NO_PROXY": "*", "OMP_NUM_THREADS": "1"}


def new_federation(folder: Path, write_site, more: tuple[str, ...] = (), host: str = "127.0.0.1") -> Machines:
    """Write the sites' text and issue the kits, of sites without text as well; start nothing."""
    shards = load_sites(config().data, config().partition).shards
    for shard in shards:
        write_site(shard, folder / "text" / shard.site)
    write_contract(contract_from_config(config().data.contract), folder / "labels.yaml")
    ports = {name: reserved_port() for name in ("fleet", "control", "runtime", "health")}
    federation = {
        "name": "notes", "server": {"hosts": [host], "ports": ports}, "contract": "labels.yaml",
        "sites": [{"name": name} for name in (*(shard.site for shard in shards), *more)],
    }  # fmt: skip
    (folder / "federation.yaml").write_text(yaml.safe_dump(federation))
    issue(folder / "federation.yaml", folder / "kits", datetime.now(UTC))
    return Machines(folder, folder / "kits" / "notes")
