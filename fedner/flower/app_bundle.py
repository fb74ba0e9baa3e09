"""The bundle that a run of fedner ships: a description and no code.

Flower sends every run's app to every site. Ours says only that server and sites run the `fedner` that each of them
installed itself; one version of fedner always makes the same bytes, so that their hash can be known beforehand.
"""

import hashlib
from functools import cache
from importlib.metadata import version

from flwr.cli.build import build_fab_from_files
from flwr.supercore.fab import Fab

_DESCRIPTION = """\
[project]
name = "fedner-run"
version = "{version}"
description = "Runs the installed fedner"
license = "Apache-2.0"

[tool.flwr.app]
publisher = "fedner"

[tool.flwr.app.components]
serverapp = "fedner.server.coordinator:app"
clientapp = "fedner.site.app:app"

[tool.flwr.app.config]
config = ""
folder = ""
resume = false
nodes = ""
"""


def description() -> str:
    """Return the bundle's pyproject.toml, which is also an app that `flwr run` takes."""
    return _DESCRIPTION.format(version=version("fedner"))


@cache
def app_bundle() -> Fab:
    """Return the bundle of the installed fedner."""
    content, _ = build_fab_from_files({"pyproject.toml": description().encode()})
    return Fab(hashlib.sha256(content).hexdigest(), content, {})
