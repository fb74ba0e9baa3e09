"""A run's description for trackers before it begins, and a tracker's memory of it between processes."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fedner.config import Config, to_plain
from fedner.config.knobs import keys
from fedner.files import read_json, write_json

Setting = str | int | float | bool

_NOT_TRACKED = keys(Config, lambda knob: not knob.tracked)


@dataclass(frozen=True)
class Subject:
    """A run as trackers see it: `name` is its folder under `output`, `settings` its hyper-parameters by dotted key."""

    name: str
    folder: Path
    output: Path
    settings: Mapping[str, Setting]


def subject_of(config: Config, folder: Path) -> Subject:
    """Describe the run in a folder."""
    output, place = Path(config.output).resolve(), folder.resolve()
    name = place.relative_to(output).as_posix() if place.is_relative_to(output) else place.name
    return Subject(name=name, folder=place, output=output, settings=dict(_settings(to_plain(config), "")))


def _settings(plain: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Setting]]:
    """Yield what may leave the run directory: no paths, and no strings of `data`, which may name people."""
    for name, value in plain.items():
        key = prefix + name
        if key in _NOT_TRACKED or value is None:
            continue
        if isinstance(value, dict):
            yield from _settings({str(inner): each for inner, each in value.items()}, f"{key}.")  # pyright: ignore
        elif isinstance(value, list):
            if not key.startswith("data."):
                yield key, ", ".join(map(str, value))  # pyright: ignore
        elif isinstance(value, str) and key == "model.name":
            yield key, Path(value).name if Path(value).is_absolute() else value
        elif not isinstance(value, str) or not key.startswith("data.") or key == "data.kind":
            yield key, value


@dataclass(frozen=True)
class Remembered:
    """A tracker's memory in the run directory: its own name of the run, its place, and the last round it received."""

    identity: str
    place: str
    round: int = 0


def recall(folder: Path, tracker: str, place: str) -> Remembered | None:
    """Return a tracker's memory of this run; None when it follows the run for the first time or in another place."""
    path = _path(folder, tracker)
    kept = Remembered(**read_json(path)) if path.is_file() else None
    return kept if kept is not None and kept.place == place else None


def remember(folder: Path, tracker: str, kept: Remembered) -> None:
    """Write the memory for the process that resumes the run."""
    write_json(_path(folder, tracker), asdict(kept))


def _path(folder: Path, tracker: str) -> Path:
    return folder / "tracking" / f"{tracker}.json"
