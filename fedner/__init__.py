"""fedner: federated fine-tuning of BERT token classifiers for named-entity recognition across institutions.

The names below are the public API, described with examples in docs/python.md; each is imported when it is first used,
so that `import fedner` takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedner.api.runs import Run, open_run
    from fedner.api.tagging import evaluate, predict, score
    from fedner.api.training import compare, resume, simulate
    from fedner.cli.compose import compose
    from fedner.config import Config
    from fedner.errors import FednerError
    from fedner.learning.entities import FoundEntity
    from fedner.learning.tagger.model import Tagger, load_tagger
    from fedner.metrics import Score
    from fedner.report import Study

__all__ = [
    "Config",
    "FednerError",
    "FoundEntity",
    "Run",
    "Score",
    "Study",
    "Tagger",
    "compare",
    "compose",
    "evaluate",
    "load_tagger",
    "open_run",
    "predict",
    "resume",
    "score",
    "simulate",
]

_MODULES = {
    "Config": "fedner.config",
    "FednerError": "fedner.errors",
    "FoundEntity": "fedner.learning.entities",
    "Run": "fedner.api.runs",
    "Score": "fedner.metrics",
    "Study": "fedner.report",
    "Tagger": "fedner.learning.tagger.model",
    "compare": "fedner.api.training",
    "compose": "fedner.cli.compose",
    "evaluate": "fedner.api.tagging",
    "load_tagger": "fedner.learning.tagger.model",
    "open_run": "fedner.api.runs",
    "predict": "fedner.api.tagging",
    "resume": "fedner.api.training",
    "score": "fedner.api.tagging",
    "simulate": "fedner.api.training",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'fedner' has no attribute {name!r}")
    globals()[name] = getattr(import_module(_MODULES[name]), name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
