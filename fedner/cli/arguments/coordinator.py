"""Options of the coordinator's verbs at a running server: submit, status, logs, stop, fetch, connect."""

from pathlib import Path

from fedner.cli.options import Parser, add_json, add_overrides


def _at_server(verb: str, about: str, example: str, run: str, kit: str = "the coordinator's kit") -> Parser:
    parser = Parser(verb, about, example, run)
    parser.add_argument("kit", type=Path, help=kit)
    parser.add_argument(
        "--at", metavar="HOST:PORT", help="where the control listener is reached, if not as the kit says"
    )
    add_json(parser, "lines of JSON")
    return parser


def submit() -> Parser:
    """`fedner submit`."""
    parser = _at_server(
        "submit",
        "Start a run at the sites; overrides are those of `fedner simulate`, the data is each site's own.",
        "fedner submit kits/nord/coordinator model=minilm federation.rounds=10 name=first",
        "fedner.cli.verbs.deployment.control:submit",
    )
    parser.add_argument("--resume", metavar="RUN", help="continue a run after its last whole round")
    parser.add_argument("--follow", action="store_true", help="print the run's log until it ends")
    parser.add_argument("--toml", action="store_true", help="start nothing; print a file for `flwr run --run-config`")
    add_overrides(parser, alone=True)
    return parser


def status() -> Parser:
    """`fedner status`."""
    parser = _at_server(
        "status",
        "Show a server's sites and runs; with a site's kit the runs, and of sites that one alone.",
        "fedner status kits/nord/coordinator --follow",
        "fedner.cli.verbs.deployment.watching:status",
        kit="the coordinator's kit, or a site's",
    )
    parser.add_argument("--follow", action="store_true", help="keep showing what happens, until interrupted")
    parser.add_argument("--key", type=Path, help="a site's private key (default: NAME.key in the kit)")
    parser.add_argument("--password", action="store_true", help="connect nowhere; print a password for the web page")
    return parser


def logs() -> Parser:
    """`fedner logs`."""
    parser = _at_server(
        "logs",
        "Print the log of a run, until it ends.",
        "fedner logs kits/nord/coordinator first",
        "fedner.cli.verbs.deployment.control:logs",
    )
    parser.add_argument("name", metavar="RUN", help="name or number of the run")
    return parser


def stop() -> Parser:
    """`fedner stop`."""
    parser = _at_server(
        "stop",
        "Stop a run; whole rounds are kept.",
        "fedner stop kits/nord/coordinator first",
        "fedner.cli.verbs.deployment.control:stop",
    )
    parser.add_argument("name", metavar="RUN", help="name or number of the run")
    return parser


def fetch() -> Parser:
    """`fedner fetch`."""
    parser = _at_server(
        "fetch",
        "Copy a run's model, history and result to this machine and write its report.",
        "fedner fetch kits/nord/coordinator first",
        "fedner.cli.verbs.deployment.fetch:fetch",
    )
    parser.add_argument("name", metavar="RUN", help="name of the run")
    parser.add_argument(
        "--output", type=Path, default=Path("runs"), help="folder for the run directory (default: runs)"
    )
    return parser


def connect() -> Parser:
    """`fedner connect`."""
    parser = _at_server(
        "connect",
        "Let Flower's own command line speak to the server: flwr run, flwr ls, flwr log, flwr stop.",
        "fedner connect kits/nord/coordinator && flwr ls nord",
        "fedner.cli.verbs.deployment.control:connect",
    )
    parser.add_argument("--app", type=Path, default=Path("fedner-app"), help="folder for the app that `flwr run` names")
    return parser
