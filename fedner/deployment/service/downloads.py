"""The coordinator's read access to the server's run directories: list of runs, histories, files, finished model.

Answers JSON and files behind the control API's own listener, TLS and token. Nothing can be written here, checkpoints
and what aggregations keep stay on the server, and a name that is not a plain one is not found.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from fedner.config.checks import is_run_name
from fedner.files import file_digest
from fedner.records.events import RoundEvaluated
from fedner.records.run_directory import RunDirectory

PREFIX = "/fedner/v1/"
OFFERED = (
    "config.yaml",
    "contract.yaml",
    "environment.json",
    "history.jsonl",
    "audit.jsonl",
    "result.json",
    "test_counts.safetensors",
)
"""Files of a run directory that are handed out, and with them everything in its `model` folder."""


@dataclass(frozen=True)
class RunSummary:
    """A run directory of the server, in a few words; `rounds` are whole ones of `wanted`."""

    name: str
    finished: bool
    rounds: int
    wanted: int | None
    began: str | None


@dataclass(frozen=True)
class OfferedFile:
    """A file that can be fetched: its path in the run directory, its bytes and their SHA-256."""

    path: str
    size: int
    sha256: str


def downloads(runs: Path, shows_token: Callable[[str], bool]) -> Starlette:
    """Return the app.

    Args:
        runs: the folder of run directories.
        shows_token: says whether an Authorization header shows the coordinator's token.
    """

    def guarded(work: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if not shows_token(request.headers.get("authorization", "")):
                return PlainTextResponse("expected the coordinator's token", 401, {"WWW-Authenticate": "Bearer"})
            return await run_in_threadpool(work, request)

        return endpoint

    def all_runs(request: Request) -> Response:
        return JSONResponse([asdict(summary) for summary in summaries(runs)])

    def history(request: Request) -> Response:
        run = _run(runs, request)
        after = request.query_params.get("after", "0")
        if run is None or not after.isdecimal():
            return _unknown()
        return JSONResponse(run.history()[int(after) :])

    def files(request: Request) -> Response:
        run = _run(runs, request)
        return _unknown() if run is None else JSONResponse([asdict(file) for file in offered(run.path)])

    def file(request: Request) -> Response:
        run = _run(runs, request)
        wanted = request.path_params["path"]
        if run is None or wanted not in (str(path.relative_to(run.path)) for path in _paths(run.path)):
            return _unknown()
        return FileResponse(run.path / wanted, media_type="application/octet-stream")

    return Starlette(
        routes=[
            Route(f"{PREFIX}runs", guarded(all_runs)),
            Route(f"{PREFIX}runs/{{name}}/history", guarded(history)),
            Route(f"{PREFIX}runs/{{name}}/files", guarded(files)),
            Route(f"{PREFIX}runs/{{name}}/files/{{path:path}}", guarded(file)),
        ]
    )


def summaries(runs: Path) -> list[RunSummary]:
    """Return the runs in a folder, the oldest first."""
    found = [summary(RunDirectory(path.parent)) for path in runs.glob("[!.]*/history.jsonl")]
    return sorted(found, key=lambda run: (run.began or "", run.name))


def summary(run: RunDirectory) -> RunSummary:
    """Return what a run's history says of how far it is."""
    events = run.history()
    wanted = next((event["rounds"] for event in reversed(events) if "rounds" in event), None)
    done = max((event["round"] for event in events if event["event"] == RoundEvaluated.event), default=0)
    began = str(events[0]["time"]) if events else None
    return RunSummary(name=run.name, finished=run.finished, rounds=done, wanted=wanted, began=began)


def offered(directory: Path) -> list[OfferedFile]:
    """Return the files of a run directory that can be fetched."""
    return [
        OfferedFile(str(path.relative_to(directory)), path.stat().st_size, file_digest(path))
        for path in _paths(directory)
    ]


def _paths(directory: Path) -> list[Path]:
    found = [directory / name for name in OFFERED] + sorted((directory / "model").rglob("*"))
    return [path for path in found if path.is_file() and not path.is_symlink()]


def _run(runs: Path, request: Request) -> RunDirectory | None:
    name = request.path_params["name"]
    if not is_run_name(name) or not (runs / name / "history.jsonl").is_file():
        return None
    return RunDirectory(runs / name)


def _unknown() -> Response:
    return PlainTextResponse("no such run or file", 404)
