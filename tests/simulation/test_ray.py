"""The same two apps under `flwr run` on Flower's simulation runtime with Ray: real processes, equal bytes."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from time import sleep

import pytest

from fedner.config import Config, dumps
from fedner.files import read_json
from fedner.flower.app_bundle import description
from fedner.simulation.running import run_in_process

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra fedner[ray]")]

SCRIPTS = Path(sys.executable).parent
SETTINGS = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@pytest.fixture
def environment(tmp_path: Path, reserve_port: Callable[[], int]) -> Iterator[dict[str, str]]:
    """A SuperLink of our own, and the environment in which `flwr run . ours` finds it."""
    port, home = reserve_port(), tmp_path / "flwr"
    home.mkdir()
    connection = f'[superlink]\ndefault = "ours"\n\n[superlink.ours]\naddress = "127.0.0.1:{port}"\ninsecure = true\n'
    (home / "config.toml").write_text(connection)
    path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    settings = {**os.environ, **SETTINGS, "FLWR_HOME": str(home), "PATH": path}
    command = ["flower-superlink", "--insecure", "--simulation", "--disable-runtime-dependency-installation"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--control-api-address", f"127.0.0.1:{reserve_port()}"]
    with (home / "superlink.log").open("w") as log:
        superlink = subprocess.Popen(command, env=settings, cwd=tmp_path, stdout=log, stderr=log)
    try:
        wait_for(port, superlink)
        yield settings
    finally:
        superlink.terminate()
        superlink.wait()


def wait_for(port: int, superlink: subprocess.Popen) -> None:
    while True:
        assert superlink.poll() is None, "the SuperLink ended before it was ready"
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            sleep(0.2)


def flwr_run(config: Config, nodes: int, folder: Path, environment: dict[str, str]) -> str:
    app = folder / "app"
    app.mkdir()
    (app / "pyproject.toml").write_text(description())
    (folder / "run.toml").write_text(f"config = '''{dumps(config)}'''\nfolder = '{folder}'\n")
    resources = f"num-supernodes={nodes} client-resources-num-cpus=1"
    command = ["flwr", "run", str(app), "ours", "--stream"]
    command += ["--run-config", str(folder / "run.toml"), "--federation-config", resources]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_ray_gives_the_bytes_of_the_run_in_process(small_config, tmp_path: Path, environment: dict[str, str]):
    # Kept moments go through Flower's context, which travels to the Ray actor and back.
    config = small_config(training={"optimizer_state": "keep"})
    config.name = "on-ray"
    config.tracking.tensorboard = find_spec("tensorboard") is not None
    log = flwr_run(config, 3, tmp_path, environment)
    path = tmp_path / "runs" / "on-ray"
    assert (path / "result.json").exists(), log
    here = run_in_process(config, tmp_path / "here")
    there = read_json(path / "result.json")
    assert there["state_digest"] == here.result.state_digest
    assert there["test"] == here.result.test.to_json()
    assert (path / "model" / "model.safetensors").is_file()
    assert list((path / "tensorboard").glob("events.*")) or not config.tracking.tensorboard


def test_the_wrong_number_of_nodes_is_told_in_plain_words(small_config, tmp_path: Path, environment: dict[str, str]):
    log = flwr_run(small_config(), 2, tmp_path, environment)
    assert "the partition makes 3 sites, but 2 nodes were started" in log
    assert "num-supernodes=3" in log
