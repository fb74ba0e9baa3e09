"""Options of the verbs that train and report: simulate, compare, report, config."""

from pathlib import Path

from fedner.cli.options import Parser, add_overrides


def simulate() -> Parser:
    """`fedner simulate`."""
    parser = Parser(
        "simulate",
        "Run one federation on this machine and write its report.\n\n"
        "resume=runs/NAME resumes a run that was stopped or killed after its last whole round, to the result it would\n"
        "have had; with federation.rounds=N a finished run continues, too.",
        "fedner simulate partition=dirichlet partition.alpha=0.3 federation.rounds=10 training.lr=2e-4\n"
        "no download: fedner simulate experiment=smoke",
        "fedner.cli.verbs.experiments:simulate",
    )
    add_overrides(parser)
    return parser


def compare() -> Parser:
    """`fedner compare`."""
    parser = Parser(
        "compare",
        "Train centralized, federated and each site alone on the same data, and report who gains how much.\n\n"
        "An interrupted comparison continues with what is missing when it is called again with the same name.",
        "fedner compare data=sites data.root=hospitals/ data.contract_file=labels.yaml \\\n"
        "             partition=natural partition.by=site",
        "fedner.cli.verbs.experiments:compare",
    )
    add_overrides(parser)
    return parser


def report() -> Parser:
    """`fedner report`."""
    parser = Parser(
        "report",
        "Write the report of a run or comparison again from its metrics.json.",
        "fedner report runs/demo",
        "fedner.cli.verbs.report:report",
    )
    parser.add_argument("directory", type=Path, metavar="RUN", help="the run directory")
    return parser


def config() -> Parser:
    """`fedner config`."""
    parser = Parser(
        "config",
        "Print the resolved configuration and stop.",
        "fedner config experiment=demo training.lr=5e-5",
        "fedner.cli.verbs.config:config",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_const", dest="form", const="json", help="one line of JSON")
    form.add_argument(
        "--toml",
        action="store_const",
        dest="form",
        const="toml",
        help="a file for `flwr run . local --run-config FILE`; relative paths are seen from this folder",
    )
    form.add_argument(
        "--keys",
        action="store_const",
        dest="run",
        const="fedner.cli.verbs.config:keys",
        help="every key with type, default and meaning, in Markdown",
    )
    add_overrides(parser)
    return parser
