"""`fedner VERB …`: find the verb, read its options, do its work, turn an error into a sentence and an exit status."""

import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fedner.errors import FednerError

if TYPE_CHECKING:
    from fedner.cli.options import Parser

INTERRUPTED = 130

# Verb -> the function that makes its parser, imported when the verb is called, and a line for the help. The parser
# names the function that does the work, imported when the options are read.
VERBS: dict[str, tuple[str, str]] = {
    "simulate": ("experiments:simulate", "run one federation on this machine"),
    "compare": ("experiments:compare", "compare centralized, federated and local training on the same data"),
    "report": ("experiments:report", "write the report of a run or comparison again"),
    "config": ("experiments:config", "print the resolved configuration"),
    "data": ("text:data", "check, count or audit a corpus; find documents that other sites hold too"),
    "contract": ("text:contract", "draft a label contract, or show what changed in one: propose, diff"),
    "predict": ("models:predict", "mark the entities in new text with a trained model"),
    "evaluate": ("models:evaluate", "score a trained model on labelled files"),
    "matrix": ("models:matrix", "score several trained models on several sites' files"),
    "provision": ("parties:provision", "issue kits for the parties of a real federation; check a party's machine"),
    "server": ("parties:server", "run the server of a federation"),
    "client": ("parties:client", "take part in a federation as a site"),
    "units": ("parties:units", "write the systemd unit of a server or a site"),
    "submit": ("coordinator:submit", "start a run at the sites of a federation"),
    "status": ("coordinator:status", "show a server's sites and runs, and follow them; a site sees its own"),
    "logs": ("coordinator:logs", "print the log of a run"),
    "stop": ("coordinator:stop", "stop a run"),
    "fetch": ("coordinator:fetch", "copy a run's model and result here and write its report"),
    "connect": ("coordinator:connect", "let Flower's own command line speak to a server"),
    "policy": ("sites:policy", "show what would leave a site in a run, under its policy: policy show"),
    "audit": ("sites:audit", "check an audit trail: audit verify, audit head"),
    "assets": ("models:assets", "show, fetch or verify the embedded model and corpus"),
    "completion": ("shells:completion", "print a script that completes fedner's command lines in a shell"),
}

HELP = """fedner: federated fine-tuning of BERT token classifiers for named-entity recognition

usage: fedner VERB [overrides or options]

{verbs}

`fedner VERB --help` shows the verb's options with an example; `fedner --version` the version.
Exit status: 0 done, 1 ran and failed, 2 bad input or usage.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Flower sends usage statistics unless told not to; a hospital's run must not.
    os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
    if not words or words[0] in ("--help", "-h", "help"):
        print(HELP.format(verbs="\n".join(f"  {verb:<10} {line}" for verb, (_, line) in VERBS.items())))
        return 0 if words else 2
    # A scheduler's SIGTERM ends a run as Ctrl-C does: what is finished is kept and reported.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        perform(words)
    except FednerError as error:
        print(f"fedner: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("fedner: interrupted; what was finished is kept", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left, as in `fedner data stats | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # A full or broken disk; what a run had written before is whole.
        print(f"fedner: {error}", file=sys.stderr)
        return 1
    return 0


def perform(words: Sequence[str]) -> None:
    """Do what a command line says.

    Args:
        words: the command line after `fedner`, the verb first.

    Raises:
        ConfigError: there is no such verb, action or option.
        FednerError: as the verb says.
    """
    if words[0] == "--version":
        imported("fedner.cli.verbs.version:version")()
        return
    parser, rest = parser_of(words[0]).chosen(words[1:])
    if "-h" in rest or "--help" in rest or (not rest and parser.actions):
        parser.print_help()
        return
    options = parser.read(rest)
    options.command = shlex.join(["fedner", *words])
    imported(options.run)(options)


def parser_of(verb: str) -> "Parser":
    """Return a verb's parser.

    Raises:
        ConfigError: there is no such verb.
    """
    if verb not in VERBS:
        imported("fedner.cli.options:refuse_verb")(verb, VERBS)
    return imported(f"fedner.cli.arguments.{VERBS[verb][0]}")()


def imported(name: str) -> Callable[..., Any]:
    """Return the function that "module:function" names."""
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)
