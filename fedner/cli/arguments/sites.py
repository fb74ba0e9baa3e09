"""Options of the verbs of a site's administrator: policy, audit."""

from pathlib import Path

from fedner.cli.options import Parser, add_json, add_overrides, add_site_and_contract


def policy() -> Parser:
    """`fedner policy show`."""
    parser = Parser(
        "policy",
        "Show what would leave a site in a run.",
        "fedner policy show --site site.yaml --contract contract.yaml model=minilm federation.rounds=10",
    )
    show = parser.action(
        "show",
        "show each answer to a run's requests, tensor by tensor, value by value\n\n"
        "Under the policy of the site file. Sends nothing and trains nothing. Overrides or --from describe the run.",
        "fedner policy show --site site.yaml --contract contract.yaml model=minilm federation.rounds=10",
        "fedner.cli.verbs.deployment.dry_run:show",
    )
    add_site_and_contract(show, required=True)
    add_json(show)
    add_overrides(show)
    return parser


def audit() -> Parser:
    """`fedner audit verify | head`."""
    parser = Parser(
        "audit",
        "Check whether an audit trail is as it was written.",
        "fedner audit verify audit.jsonl --anchor /mnt/elsewhere/heads\n         fedner audit head audit.jsonl",
    )
    verify = parser.action(
        "verify",
        "check every byte against the chain; exit status 1 if anything does not fit",
        "fedner audit verify audit.jsonl --anchor /mnt/elsewhere/heads",
        "fedner.cli.verbs.deployment.audit:verify_trail",
    )
    verify.add_argument("trail", type=Path, metavar="TRAIL")
    verify.add_argument(
        "--head",
        action="append",
        default=[],
        metavar="'N HASH'",
        help="a head that was kept elsewhere; shows what was cut off or rewritten since",
    )
    verify.add_argument("--anchor", type=Path, metavar="FILE", help="many of them, a line each")
    add_json(verify)
    head = parser.action(
        "head",
        "print the number and hash of the last line, to be kept elsewhere",
        "fedner audit head audit.jsonl",
        "fedner.cli.verbs.deployment.audit:print_head",
    )
    head.add_argument("trail", type=Path, metavar="TRAIL")
    return parser
