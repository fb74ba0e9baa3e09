"""Every error fedner raises on purpose.

    FednerError                    exit status 1
    ├── InputError                 exit status 2: the user can mend the input
    │   ├── ConfigError            a knob is unknown, ill-typed or out of range
    │   ├── DataError              a corpus file is unreadable or wrong; carries file:line
    │   ├── LabelError             tags or label contracts do not fit together
    │   └── AssetError             a model or corpus file is missing, unreachable or altered
    └── RunError                   exit status 1: the run started and could not go on
        ├── StateError             tensors do not have the names, shapes or dtypes agreed on
        ├── FederationError        too few sites, a refused handshake, no usable reply
        │   └── QuorumError        a round's usable replies are not enough; the run's policy says what then
        ├── RunDirectoryError      a run directory is incomplete, foreign or in use
        ├── AuditError             an audit trail was altered or cannot be written
        ├── PolicyError            a site's policy refuses; carries the refusal
        └── TextChangedError       a site's text is no longer the one that the run began with

A message says what was expected, what was found, where, and what to do. Messages of `InputError` may quote the user's
own text on the user's own terminal; only `code` and a safe sentence leave a site.
"""

from collections.abc import Mapping
from pathlib import Path

from fedner.refusals import Refusal, RefusalCode


class FednerError(Exception):
    """Base of everything raised on purpose; `code` is what may leave a site."""

    code: RefusalCode = RefusalCode.error
    exit_status = 1


class InputError(FednerError):
    """The user's input is at fault and the user can mend it."""

    code = RefusalCode.input
    exit_status = 2


class ConfigError(InputError):
    """A configuration value is unknown, ill-typed or out of range."""

    code = RefusalCode.config


class DataError(InputError):
    """A corpus file is unreadable or its content is wrong.

    Args:
        message: what was expected, what was found and what to do.
        path: the file at fault.
        line: 1-based line number, where one is known.
    """

    code = RefusalCode.data

    def __init__(self, message: str, path: str | Path | None = None, line: int | None = None) -> None:
        self.path = path
        self.line = line
        place = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(place + message)


class LabelError(InputError):
    """Tags or label contracts do not fit together."""

    code = RefusalCode.labels


class AssetError(InputError):
    """A model or corpus file is missing, unreachable or altered."""

    code = RefusalCode.assets


class RunError(FednerError):
    """The run started and could not go on."""

    code = RefusalCode.run


class StateError(RunError):
    """Tensors do not have the names, shapes or dtypes that were agreed on."""

    code = RefusalCode.state


class FederationError(RunError):
    """Too few sites, a refused handshake or no usable reply."""

    code = RefusalCode.federation


class QuorumError(FederationError):
    """The usable replies of a round are fewer, or of other sites, than it needs.

    Args:
        message: what was expected and found.
        refused: site -> why it did not count.
    """

    code = RefusalCode.quorum

    def __init__(self, message: str, refused: Mapping[str, Refusal]) -> None:
        self.refused = dict(refused)
        super().__init__(message)


class RunDirectoryError(RunError):
    """A run directory is incomplete, foreign or in use."""

    code = RefusalCode.run_directory


class AuditError(RunError):
    """An audit trail was altered, or it cannot be written."""

    code = RefusalCode.audit


class TextChangedError(RunError):
    """A site's text is no longer the one that the run began with."""

    code = RefusalCode.text_changed


class PolicyError(RunError):
    """A site's policy refuses a request, or an answer to it.

    Args:
        refusal: the rule of the policy and a sentence without private detail; both leave the site.
    """

    def __init__(self, refusal: Refusal) -> None:
        self.code = refusal.code
        self.refusal = refusal
        super().__init__(refusal.sentence)
