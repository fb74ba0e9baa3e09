"""Paths in a config: made absolute, and where a run goes."""

from datetime import datetime
from pathlib import Path

from fedner.config import Config, from_plain, to_plain


def absolute_paths(config: Config, folder: Path) -> Config:
    """Return the config with every path of the user's made absolute, seen from `folder`.

    Sites may run in processes with another working directory. Names that are not paths stay as they are: a model or a
    data set that is no folder there is taken for a hub name.
    """
    plain = to_plain(config)
    data, model = plain["data"], plain["model"]
    for key in ("root", "contract_file", "exclude_documents"):
        if data.get(key):
            data[key] = str(folder / data[key])
    for key in ("train", "dev", "test"):
        if isinstance(data.get(key), list):
            data[key] = [str(folder / name) for name in data[key]]
    if data.get("path") and (folder / data["path"]).is_dir():
        data["path"] = str(folder / data["path"])
    if (folder / model["name"]).is_dir():
        model["name"] = str(folder / model["name"])
    plain["federation"]["public_dev"] = [str(folder / name) for name in plain["federation"]["public_dev"]]
    plain["output"] = str(folder / plain["output"])
    return from_plain(plain)


def new_run_path(config: Config, command: str) -> Path:
    """Return where a run goes: `output`/`name`, or a name from the command, the data and the time if it has none."""
    if config.name is not None:
        return Path(config.output) / config.name
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return Path(config.output) / f"{command}-{config.data.kind}-{stamp}"
