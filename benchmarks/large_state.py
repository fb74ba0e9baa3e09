"""A BERT-base-sized state between real processes over TLS: seconds a round, and the memory of each process.

    python benchmarks/large_state.py --output benchmarks/results/large_state.json

A server and its sites are started as their administrators would start them (`fedner server`, `client`, `submit`), on
loopback, with a random encoder of BERT-base's size (109 M parameters, 436 MB) and a few sentences, so that a round is
one optimizer step at each site and otherwise transport. Beside it, on the same machine and one after the other: the
same run in one process (`fedner simulate`), and what training sends both ways through one TLS connection (`plain`),
which is what no protocol can be faster than (scoring takes the state to the sites once more). Memory is the largest
resident set seen of each process, looked at four times a second.
"""

import argparse
import json
import os
import platform
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
import torch
import yaml
from transformers import BertConfig, BertForMaskedLM

from fedner.assets import ensure_model
from fedner.deployment.preflight.network import trusting
from fedner.deployment.provisioning.issuing import issue
from fedner.deployment.provisioning.kit import Kit, read_kit
from fedner.files import read_json, write_json

HELD: list[socket.socket] = []
FEDNER = str(Path(sys.executable).parent / "fedner")
SECONDS = 1800.0
SETTINGS = ("model.max_length=64", "training.steps=1", "training.batch_size=4", "training.threads=1")
TEXT = "-DOCSTART- O\n\n" + "\n".join(8 * ["She O\ntook O\nAspirin B-DRUG\n5 B-DOSE\nmg I-DOSE\n"])
ROLES = {
    "SuperLink": "fedner.deployment.service.superlink",
    "ServerApp": "flwr-serverapp",
    "SuperNode": "fedner.deployment.service.supernode",
    "ClientApp": "fedner.site.worker",
}
"""What a process is -> what its command line has."""


def main() -> None:
    options = parse()
    sites = [f"site-{number}" for number in range(options.sites)]
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    print(f"working in {folder}", file=sys.stderr)
    size = write_encoder(folder / "encoder", options.layers)
    kits = provision(folder, sites)
    given = ("model=pretrained", f"model.name={folder / 'encoder'}", f"federation.rounds={options.rounds}", *SETTINGS)
    deployed, memory = deploy(folder, kits, sites, given)
    simulated = simulate(folder, given)
    plain = [seconds_over_tls(read_kit(kits / "server"), 2 * len(sites) * size) for _ in range(3)]
    shutil.rmtree(folder)  # kept where something failed, for its logs
    # The first round imports a deep-learning stack at every site.
    rounds = {"deployed": deployed[1:], "simulated": simulated[1:], "plain": plain}
    middle = {name: statistics.median(seconds) for name, seconds in rounds.items()}
    result = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "sites": len(sites),
        "state_bytes": size,
        "seconds": rounds,
        "median_seconds": middle,
        "deployed_over_simulated": middle["deployed"] / middle["simulated"],
        "transport_over_plain": (middle["deployed"] - middle["simulated"]) / middle["plain"],
        "peak_bytes": memory,
        "disturbed": options.disturbed,
    }
    print(json.dumps(result, indent=2))
    if options.output:
        write_json(options.output, result)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=4, help="the first is not counted")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument(
        "--folder", type=Path, help="where to work; needs about 8 GB (default: where temporary files go)"
    )
    parser.add_argument("--disturbed", action="store_true", help="note that the machine had other work to do")
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


def write_encoder(folder: Path, layers: int) -> int:
    """Write a random encoder with MiniLM's vocabulary, as no hub is needed for it; return the bytes of its weights."""
    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig(num_hidden_layers=layers)).bert
    model.save_pretrained(folder)
    for path in ensure_model().iterdir():
        if path.name.startswith(("tokenizer", "vocab", "special")):
            shutil.copy(path, folder)
    return sum(4 * parameter.numel() for parameter in model.parameters())


def reserved_port() -> int:
    """Return a port that stays bound here without listening, so that the system gives it to nobody else (Linux)."""
    HELD.append(socket.socket())
    HELD[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    HELD[-1].bind(("127.0.0.1", 0))
    return HELD[-1].getsockname()[1]


def provision(folder: Path, sites: list[str]) -> Path:
    """Write text and site files, and issue the kits; return where those lie."""
    for site in sites:
        (folder / "text" / site).mkdir(parents=True)
        for split in ("train", "dev", "test"):
            (folder / "text" / site / f"{split}.conll").write_text(TEXT)
        files = ", ".join(f"{split}: [{split}.conll]" for split in ("train", "dev", "test"))
        (folder / "text" / site / "site.yaml").write_text(f"site: {site}\ndata: {{{files}}}\n")
    (folder / "labels.yaml").write_text("name: notes\nversion: 1\ntypes: {DRUG: a medicine, DOSE: how much}\n")
    ports = {name: reserved_port() for name in ("fleet", "control", "runtime", "health")}
    federation = {
        "name": "notes", "server": {"hosts": ["127.0.0.1"], "ports": ports}, "contract": "labels.yaml",
        "sites": [{"name": site} for site in sites],
    }  # fmt: skip
    (folder / "federation.yaml").write_text(yaml.safe_dump(federation))
    issue(folder / "federation.yaml", folder / "kits", datetime.now(UTC))
    return folder / "kits" / "notes"


def deploy(folder: Path, kits: Path, sites: list[str], given: tuple[str, ...]) -> tuple[list[float], dict[str, int]]:
    """Run a federation over TLS; return the seconds of its rounds, and each kind of process's peak."""
    commands = {"server": ["server", str(kits / "server"), "--host", "127.0.0.1"]}
    for site in sites:
        commands[site] = ["client", str(kits / f"site-{site}"), "--site", str(folder / "text" / site / "site.yaml")]
    run = folder / "server" / "state" / "runs" / "large"
    with machines(folder, commands) as processes, peaks(processes) as memory:
        wait_until(lambda: "event=ready" in (folder / "server" / "out").read_text(), processes)
        call("submit", str(kits / "coordinator"), *given, "name=large", "federation.wait_seconds=900")
        wait_until((run / "result.json").exists, processes)
    return seconds_of(run), dict(memory)


def simulate(folder: Path, given: tuple[str, ...]) -> list[float]:
    """Run the same federation in one process; return the seconds of its rounds."""
    data = ("data=sites", f"data.root={folder / 'text'}", f"data.contract_file={folder / 'labels.yaml'}")
    call("simulate", *data, "partition=natural", "partition.by=site", *given, f"output={folder}", "name=simulated")
    return seconds_of(folder / "simulated")


def seconds_of(run: Path) -> list[float]:
    return [entry["seconds"] for entry in read_json(run / "result.json")["rounds"]]


def call(*arguments: str) -> None:
    subprocess.run([FEDNER, *arguments], check=True, stdout=sys.stderr, env=environment())


def environment() -> dict[str, str]:
    return {**os.environ, "NO_PROXY": "*", "OMP_NUM_THREADS": "1", "FLWR_TELEMETRY_ENABLED": "0"}


@contextmanager
def machines(folder: Path, commands: Mapping[str, list[str]]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run some commands, each in a folder of its own, until the block ends."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for name, command in commands.items():
            (folder / name).mkdir()
            with (folder / name / "out").open("w") as out:
                processes.append(
                    subprocess.Popen(
                        [FEDNER, *command, "--state", "state"],
                        cwd=folder / name,
                        stdout=out,
                        stderr=out,
                        env=environment(),
                    )
                )
        yield processes
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(120)


@contextmanager
def peaks(processes: list[subprocess.Popen[bytes]]) -> Iterator[dict[str, int]]:
    """Watch the processes and what they start; the dictionary fills with the peak of each role, in bytes."""
    found: dict[str, int] = {}
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.25):
            for process in processes:
                with suppress(psutil.Error):
                    for child in psutil.Process(process.pid).children(recursive=True):
                        note(child, found)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield found
    finally:
        done.set()
        watcher.join()


def note(process: psutil.Process, found: dict[str, int]) -> None:
    with suppress(psutil.Error):
        command = " ".join(process.cmdline())
        role = next((role for role, word in ROLES.items() if word in command), "others")
        found[role] = max(found.get(role, 0), process.memory_info().rss)


def wait_until(happened: Callable[[], bool], processes: list[subprocess.Popen[bytes]]) -> None:
    end = time.monotonic() + SECONDS
    while not happened():
        if time.monotonic() > end or any(process.poll() is not None for process in processes):
            raise SystemExit("the federation did not come to its end; the folder named at the start has the logs")
        time.sleep(0.2)


def seconds_over_tls(kit: Kit, size: int) -> float:
    """Send so many bytes to another thread over TLS on loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(kit.server_certificate, kit.server_key)
    piece = bytes(1 << 20)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def receive() -> None:
            with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
                while connection.recv(1 << 20):
                    pass

        receiver = threading.Thread(target=receive)
        receiver.start()
        with (
            socket.create_connection(listener.getsockname()) as raw,
            trusting(kit.ca_certificate).wrap_socket(raw, server_hostname="127.0.0.1") as connection,
        ):
            start = time.perf_counter()
            for _ in range(size // len(piece) + 1):
                connection.sendall(piece)
        receiver.join()
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
