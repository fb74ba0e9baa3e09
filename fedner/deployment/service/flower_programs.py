"""Flower's programs as fedner starts them: where they lie, in which environment, with which secret."""

import os
import secrets
import socket
import sys
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from filelock import FileLock, Timeout

from fedner.deployment.service.supervisor import Program
from fedner.errors import ConfigError, RunDirectoryError

MAX_FAILURES = 7
"""A program that dies so often in a row will not stay up by itself; somebody has to look. The waits between make more
than the minute for which the server still takes a SuperNode that was killed for connected, and turns its successor
away."""
LOOPBACK = "127.0.0.1"
_SCRIPTS = Path(sys.executable).parent


def open_state(state: Path) -> AbstractContextManager[object]:
    """Make the folder of a server or site, readable by its owner alone, and hold it against a second one.

    Raises:
        RunDirectoryError: another process works with it.
    """
    os.umask(0o077)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        return FileLock(state / ".lock").acquire(timeout=0)
    except Timeout as error:
        raise RunDirectoryError(f"{state}: another process works here; stop it, or choose another --state") from error


def environment(state: Path) -> dict[str, str]:
    """Return what Flower's programs are started with: nothing reports home, nothing is installed at run time."""
    return {
        **os.environ,
        "FLWR_HOME": str(state / "flwr"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "PATH": f"{_SCRIPTS}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
    }


def needed(path: Path) -> Path:
    """Return a file of a kit.

    Raises:
        ConfigError: it is not there.
    """
    if not path.is_file():
        raise ConfigError(f"{path.parent}: expected a kit with {path.name} in it, got none; is it another party's kit?")
    return path


def script(name: str) -> str:
    """Return the path of one of Flower's commands, that of this Python installation."""
    return str(_SCRIPTS / name)


def new_secret(state: Path) -> Path:
    """Write a fresh secret for the process that runs apps to show; others on this machine reach the port as well."""
    path = state / "superexec.secret"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(secrets.token_bytes(32))
    return path


def superexec(port: int, secret: Path) -> Program:
    """Return the program that starts a process for every app, or message to an app, at a runtime API on loopback."""
    command: Sequence[str] = [
        script("flower-superexec"), "--insecure", "--runtime-api-address", f"127.0.0.1:{port}",
        "--superexec-auth-secret-file", str(secret), "--parent-pid", str(os.getpid()),
    ]  # fmt: skip
    return Program("superexec", command)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; at `::` it takes IPv4 as well.

    Raises:
        ConfigError: the address is none of this machine's, or the port is taken.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        both = host == "::" and socket.has_dualstack_ipv6()  # Python's own default is IPv6 alone
        return socket.create_server((host, port), family=family, backlog=128, dualstack_ipv6=both)
    except OSError as error:
        raise ConfigError(
            f"cannot listen at {host} port {port} ({error.strerror}); another process may hold it"
        ) from error


def health_of(port: int) -> Callable[[], bool]:
    """Return a question: does the runtime API at a port of loopback answer?"""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def healthy() -> bool:
        try:
            with direct.open(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    return healthy
