"""`fedner VERB …`: find the verb, run it, turn an error into a sentence and an exit status."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version as installed

from fedner.cli.verbs import control, experiments, models, policy, running, text, watching
from fedner.cli.verbs.contract import contract
from fedner.cli.verbs.matrix import matrix
from fedner.cli.verbs.provision import provision
from fedner.errors import FednerError

INTERRUPTED = 130

VERBS: dict[str, tuple[Callable[[list[str]], None], str]] = {
    "simulate": (experiments.simulate, "run one federation on this machine"),
    "compare": (experiments.compare, "compare centralized, federated and local training on the same data"),
    "report": (experiments.report, "draw the report of a run or comparison again"),
    "config": (experiments.config, "print the resolved configuration"),
    "data": (text.data, "check, count or audit what a corpus holds; find what other sites hold too"),
    "contract": (contract, "come to a label contract, and see what became of it: propose, diff"),
    "predict": (models.predict, "mark the entities in new text with a trained model"),
    "evaluate": (models.evaluate, "score a trained model on labelled files"),
    "matrix": (matrix, "score several trained models on several sites' files"),
    "provision": (provision, "kits for the parties of a real federation; check of a party's machine"),
    "server": (running.server, "run the server of a federation"),
    "client": (running.client, "take part in a federation as a site"),
    "units": (running.units, "write the systemd unit of a server or a site"),
    "submit": (control.submit, "start a run at the sites of a federation"),
    "status": (watching.status, "show a server's sites and runs, and follow them; a site sees its own"),
    "logs": (control.logs, "print what a run logs"),
    "stop": (control.stop, "stop a run"),
    "fetch": (control.fetch, "copy a run's model and result here and write its report"),
    "connect": (control.connect, "let Flower's own command line speak to a server"),
    "policy": (policy.policy, "what would leave a site in a run, under its policy: policy show"),
    "audit": (policy.audit, "check an audit trail: audit verify, audit head"),
    "assets": (models.assets, "show, fetch or verify the embedded model and corpus"),
}

HELP = """fedner: federated fine-tuning of BERT token classifiers for named-entity recognition

usage: fedner VERB [overrides or options]

{verbs}

`fedner VERB --help` shows the verb's options with an example.
Exit status: 0 done, 1 ran and failed, 2 bad input or usage.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Flower reports usage home unless told not to; a hospital's run must not.
    os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
    if not given or given[0] in ("--help", "-h", "help"):
        print(HELP.format(verbs="\n".join(f"  {verb:<10} {line}" for verb, (_, line) in VERBS.items())))
        return 0 if given else 2
    if given[0] == "--version":
        print(version())
        return 0
    if given[0] not in VERBS:
        print(f"fedner: no verb '{given[0]}'; expected one of {', '.join(VERBS)}", file=sys.stderr)
        return 2
    return _run(VERBS[given[0]][0], given[1:])


def _run(verb: Callable[[list[str]], None], arguments: list[str]) -> int:
    # A scheduler's SIGTERM ends a run as Ctrl-C does: what is finished is kept and told.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        verb(arguments)
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


def version() -> str:
    """Return fedner's version."""
    return f"fedner {installed('fedner')}"
