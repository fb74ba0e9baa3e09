"""The coordinator's client of a server: submit, list, follow and stop runs, read status, fetch results.

Flower's own control API does what it can do; run directories come by `downloads`, at the same address. Everything goes
over TLS, checked against the kit's CA, and shows the coordinator's token. A proxy is taken from HTTPS_PROXY.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from flwr.app import UserConfig

from fedner.config import Config, dumps
from fedner.deployment.monitoring.status import Status, read_status
from fedner.deployment.preflight.network import trusting
from fedner.deployment.provisioning.kit import Kit
from fedner.deployment.provisioning.token import control_token
from fedner.deployment.service.downloads import PREFIX, OfferedFile, RunSummary
from fedner.deployment.service.flower_programs import needed
from fedner.errors import ConfigError, FederationError
from fedner.files import file_digest, replacing
from fedner.flower.control_api import ControlApi, refusal_text
from fedner.flower.runs import SubmittedRun
from fedner.server.run_config import nodes_text

LIMIT = 200
"""So many runs are looked at, the newest first."""


class Control:
    """A connection to a server; use `connected`.

    Args:
        address: host:port of the control listener.
        certificate: the CA's certificate.
        token: the coordinator's.
    """

    def __init__(self, address: str, certificate: Path, token: str) -> None:
        tls = trusting(certificate)
        self._flower = ControlApi(address, tls, token)
        self._files = httpx.Client(
            base_url=f"https://{address}{PREFIX}", verify=tls, timeout=60.0,
            headers={"Authorization": f"Bearer {token}"},
        )  # fmt: skip

    def close(self) -> None:
        """Close the connection."""
        self._flower.close()
        self._files.close()

    def run_config(self, config: Config, resume: bool) -> UserConfig:
        """Return a run's config for Flower, with the site of each node's key, so that no site can pass for another."""
        nodes = nodes_text(self._flower.nodes())
        return {"config": dumps(config), "folder": "", "resume": resume, "nodes": nodes}

    def submit(self, config: Config, resume: bool) -> int:
        """Start a run, or go on with one; return its number."""
        return self._flower.start(self.run_config(config, resume))

    def stop(self, number: int) -> bool:
        """Stop a run; return whether it was running."""
        return self._flower.stop(number)

    def logs(self, number: int) -> Iterator[str]:
        """Yield what the run's server app logs, until it ends."""
        return self._flower.logs(number)

    def submitted(self) -> list[SubmittedRun]:
        """Return the runs that were started, the newest first."""
        return self._flower.runs(LIMIT)

    def status(self) -> Status:
        """Return how sites and runs stand."""
        return read_status(self._get("status").json())

    def runs(self) -> list[RunSummary]:
        """Return the server's run directories, the oldest first."""
        return [RunSummary(**run) for run in self._get("runs").json()]

    def history(self, name: str, after: int = 0) -> list[dict[str, Any]]:
        """Return the events of a run from number `after` on."""
        return self._get(f"runs/{quote(name, safe='')}/history?after={after}").json()

    def read(self, name: str, path: str) -> bytes:
        """Return one file of a run directory."""
        return self._get(f"runs/{quote(name, safe='')}/files/{path}").content

    def offered(self, name: str) -> list[OfferedFile]:
        """Return the files of a run directory that can be fetched."""
        return [OfferedFile(**file) for file in self._get(f"runs/{quote(name, safe='')}/files").json()]

    def fetch(self, name: str, directory: Path) -> list[OfferedFile]:
        """Copy a run's files into a directory; what is there already and whole is not sent again.

        Raises:
            FederationError: a file arrived with other content than the server announced, or belongs nowhere here.
        """
        files = self.offered(name)
        for file in files:
            place = directory / file.path
            if not place.resolve().is_relative_to(directory.resolve()):
                raise FederationError(f"run '{name}': the server offers '{file.path}', which belongs nowhere here")
            if not (place.is_file() and place.stat().st_size == file.size and file_digest(place) == file.sha256):
                self._copy(name, file, place)
        return files

    def _copy(self, name: str, file: OfferedFile, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as draft:
            with self._files.stream("GET", f"runs/{name}/files/{file.path}") as answer, draft.open("wb") as content:
                answer.raise_for_status()
                for piece in answer.iter_bytes():
                    content.write(piece)
            if file_digest(draft) != file.sha256:
                raise FederationError(f"run '{name}': {file.path} did not arrive as it was sent; fetch it again")

    def _get(self, path: str) -> httpx.Response:
        answer = self._files.get(path)
        answer.raise_for_status()
        return answer


@contextmanager
def connected(kit: Kit, address: str | None = None) -> Iterator[Control]:
    """Open a connection to a kit's server.

    Args:
        kit: the coordinator's, or another with its token.
        address: host:port where it is reached instead of where the kit says, such as the end of a tunnel.

    Raises:
        ConfigError: the kit has no token.
        FederationError: the server cannot be reached, is another one, refuses the token or the request.
    """
    place = address or kit.address(kit.ports.control)
    control = Control(place, needed(kit.ca_certificate), control_token(kit))
    try:
        yield control
    except httpx.HTTPStatusError as error:
        raise _refusal(error, place) from error
    except httpx.TransportError as error:
        raise FederationError(
            f"no answer from the server at {place} ({error}); is `fedner server` running, does its control listener "
            "reach this machine (--control-host, or a tunnel and --at), and is the kit this server's?"
        ) from error
    finally:
        control.close()


def _refusal(error: httpx.HTTPStatusError, place: str) -> FederationError | ConfigError:
    answer = error.response
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return ConfigError(f"the server at {place} does not accept this kit's token; is it the coordinator's newest?")
    if answer.status_code == httpx.codes.NOT_FOUND:
        return ConfigError(f"the server at {place} has no such run; `fedner status KIT` names those it has")
    if not answer.is_closed:
        answer.read()
    return FederationError(f"the server at {place} refuses: {refusal_text(answer.text) or answer.status_code}")
