"""A federation of real Flower processes on loopback: a SuperLink, a SuperNode per site, `flwr run`.

No TLS and no authentication: what is tried here is what happens when processes die or hang, not who may join.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fedner.config import Config, dumps
from fedner.flower.app_bundle import description

SCRIPTS = Path(sys.executable).parent
_HELD: list[socket.socket] = []


@dataclass
class Deployment:
    """The processes, and how to start, kill and find them."""

    folder: Path
    port: int
    environment: dict[str, str]
    num_sites: int
    sites: dict[int, subprocess.Popen] = field(default_factory=dict)
    others: list[subprocess.Popen] = field(default_factory=list)

    def start_site(self, number: int) -> None:
        """Start the SuperNode of a site; what the site remembers lies on disk, so that it outlives the process."""
        memory = self.folder / "memory" / str(number)
        config = f'partition-id={number} num-partitions={self.num_sites} memory="{memory}"'
        command = ["flower-supernode", "--insecure", "--superlink", f"127.0.0.1:{self.port}"]
        command += ["--port", str(reserved_port()), "--node-config", config]
        self.sites[number] = self.spawn(command, f"site-{number}.log")

    def run(self, config: Config, resume: bool = False) -> subprocess.Popen:
        """Start `flwr run`, following its log."""
        app = self.folder / "app"
        app.mkdir(exist_ok=True)
        (app / "pyproject.toml").write_text(description())
        given = f"config = '''{dumps(config)}'''\nfolder = '{self.folder}'\nresume = {str(resume).lower()}\n"
        (self.folder / "run.toml").write_text(given)
        command = ["flwr", "run", str(app), "ours", "--stream", "--run-config", str(self.folder / "run.toml")]
        return self.spawn(command, "flwr-run.log")

    def spawn(self, command: list[str], log: str) -> subprocess.Popen:
        with (self.folder / log).open("a") as output:
            process = subprocess.Popen(
                [str(SCRIPTS / command[0]), *command[1:]], env=self.environment, cwd=self.folder, stdout=output,
                stderr=output, start_new_session=True,
            )  # fmt: skip
        self.others.append(process)
        return process

    def kill_site(self, number: int) -> None:
        """SIGKILL a SuperNode and everything it started."""
        signal_tree(self.sites[number].pid, signal.SIGKILL)
        self.sites[number].wait()

    def server_app(self) -> int:
        """Return the process id of the ServerApp."""
        return next(pid for pid in tree(self.others[0].pid) if "flwr-serverapp" in command_of(pid))

    def close(self) -> None:
        for process in reversed(self.others):
            signal_tree(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def deployment(folder: Path, num_sites: int) -> Iterator[Deployment]:
    """Start a SuperLink and a SuperNode per site; end whatever is left of them."""
    port, home = reserved_port(), folder / "flwr"
    home.mkdir(parents=True)
    connection = f'[superlink]\ndefault = "ours"\n\n[superlink.ours]\naddress = "127.0.0.1:{port}"\ninsecure = true\n'
    (home / "config.toml").write_text(connection)
    environment = {
        **os.environ,
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "FLWR_HOME": str(home),
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
    }
    ours = Deployment(folder, port, environment, num_sites)
    try:
        command = ["flower-superlink", "--insecure", "--disable-runtime-dependency-installation"]
        ours.spawn([*command, "--host", "127.0.0.1", "--port", str(port)], "superlink.log")
        wait_until(lambda: answers(port), 120)
        for number in range(num_sites):
            ours.start_site(number)
        yield ours
    finally:
        ours.close()


def reserved_port() -> int:
    """Return a port that the system gives to nobody else as long as this process lives.

    It stays bound here without listening: whoever asks for any port gets another one, and a server that is told this
    one, and sets SO_REUSEADDR as servers do, may listen at it (Linux).
    """
    both = socket.has_dualstack_ipv6()
    held = socket.socket(socket.AF_INET6 if both else socket.AF_INET)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if both:
        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    held.bind(("", 0))
    _HELD.append(held)
    return int(held.getsockname()[1])


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for something; TimeoutError after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"did not happen within {seconds:g} s")
        time.sleep(0.02)


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants, parents first."""
    found = [pid]
    for parent in found:
        for thread in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in thread.read_text().split()]
            except OSError:
                continue
    return found


def signal_tree(pid: int, number: int) -> None:
    for each in tree(pid):
        try:
            os.kill(each, number)
        except ProcessLookupError:
            continue


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def events(run: Path) -> list[dict]:
    """Return what a run's history holds so far."""
    file = run / "history.jsonl"
    lines = file.read_text(encoding="utf-8").split("\n")[:-1] if file.exists() else []
    return [json.loads(line) for line in lines]
