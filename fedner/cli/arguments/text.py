"""Options of the verbs about text and its labels: data, contract."""

from dataclasses import fields
from pathlib import Path

from fedner.cli.options import Parser, add_json, add_overrides, add_site_and_contract
from fedner.data.auditing import AuditOptions
from fedner.data.overlap.comparing import THRESHOLD
from fedner.data.overlap.fingerprints import MIN_WORDS

_WITHOUT_TEXT = "one line of JSON, without any text"
_AUDIT_HELP = {
    "threshold": "Jaccard similarity from which texts are near-duplicates",
    "shingle": "words in a shingle, of which that similarity is made",
    "min_words": "sentences shorter than this are not compared",
    "rare": "types with fewer entities in a split are named",
    "plain_share": "words annotated elsewhere are named if plain in more than this share of their places",
}


def data() -> Parser:
    """`fedner data check | stats | audit | fingerprint | overlap | lookup`."""
    parser = Parser(
        "data",
        "Look at a corpus before training on it; find documents that other sites hold too, without any text leaving "
        "a site.",
        "fedner data check data=files data.train=[train.conll] data.dev=[dev.conll] data.contract_file=labels.yaml\n"
        "         fedner data check --contract labels.yaml --site site.yaml\n"
        "         fedner data stats data=conll2003\n"
        "         fedner data fingerprint --contract labels.yaml --site site.yaml --key overlap.key --output n.json",
    )
    _check(parser)
    stats = parser.action(
        "stats",
        "count documents, sentences, words and entities per split and type",
        "fedner data stats data=conll2003",
        "fedner.cli.verbs.text:stats",
    )
    add_json(stats, _WITHOUT_TEXT)
    add_overrides(stats)
    _audit(parser)
    _fingerprint(parser)
    _overlap(parser)
    _lookup(parser)
    return parser


def _check(data: Parser) -> None:
    parser = data.action(
        "check",
        "read every file to its end or first error; say what is wrong, where, and what to do\n\n"
        "With --contract and --site: what the site file makes of the site's own types under the contract, with counts\n"
        "before and after and examples of the text, for the site's own terminal only.",
        "fedner data check data=files data.train=[train.conll] data.dev=[dev.conll] data.contract_file=labels.yaml",
        "fedner.cli.verbs.text:check",
    )
    add_site_and_contract(parser)
    add_json(parser, _WITHOUT_TEXT)
    add_overrides(parser)


def _audit(data: Parser) -> None:
    parser = data.action(
        "audit",
        "name what makes scores too good or too bad: duplicates, words annotated in two ways, rare types\n\n"
        "Quotes the text, for the site's own terminal only. The text is that of a configuration or, with --contract\n"
        "and --site, of a site file.",
        "fedner data audit --contract labels.yaml --site site.yaml --threshold 0.7",
        "fedner.cli.verbs.text:audit",
    )
    add_site_and_contract(parser)
    for each in fields(AuditOptions):
        option = f"--{each.name.replace('_', '-')}"
        about = f"{_AUDIT_HELP[each.name]} (default: {each.default})"
        parser.add_argument(option, type=type(each.default), default=each.default, metavar="NUMBER", help=about)
    parser.add_argument(
        "--model", metavar="FOLDER", help="a trained model; annotations that it confidently contradicts are named"
    )
    parser.add_argument(
        "--write-excluded",
        metavar="FILE",
        help="a new file for the ids of dev and test documents that lie in train, for data.exclude_documents",
    )
    add_json(parser, _WITHOUT_TEXT)
    add_overrides(parser)


def _fingerprint(data: Parser) -> None:
    parser = data.action(
        "fingerprint",
        "at a site: sign its documents, if policy.fingerprints of its site file is true\n\n"
        "Beside the signatures lies NAME.documents.json with the meaning of their references, which stays there.\n"
        "docs/security.md says what a fingerprint shows to whom.",
        "fedner data fingerprint --new-key overlap.key\n"
        "         fedner data fingerprint --contract labels.yaml --site site.yaml --key overlap.key --output n.json",
        "fedner.cli.verbs.overlap:fingerprint",
    )
    parser.add_argument(
        "--new-key",
        type=Path,
        metavar="FILE",
        help="a new file for the key that all sites share; whoever compares must not have it",
    )
    add_site_and_contract(parser)
    parser.add_argument("--key", type=Path, metavar="FILE", help="that key; a file that only its owner can read")
    parser.add_argument("--output", type=Path, metavar="FILE", help="a new file for the signatures")
    parser.add_argument(
        "--min-words",
        type=int,
        default=MIN_WORDS,
        metavar="NUMBER",
        help=f"leave out shorter documents, as few words are shown by their signature (default: {MIN_WORDS})",
    )


def _overlap(data: Parser) -> None:
    parser = data.action(
        "overlap",
        "anywhere, without the key: find documents of different sites that are nearly the same",
        "fedner data overlap north.json south.json --output findings.json",
        "fedner.cli.verbs.overlap:overlap",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="fingerprints, one a site")
    parser.add_argument(
        "--threshold",
        type=float,
        default=THRESHOLD,
        metavar="NUMBER",
        help=f"estimated Jaccard similarity from which two documents match (default: {THRESHOLD})",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="a new file for the findings, for the sites")
    add_json(parser)


def _lookup(data: Parser) -> None:
    parser = data.action(
        "lookup",
        "at a site: show which of its own documents the findings are about",
        "fedner data lookup findings.json --documents north.documents.json --write-excluded elsewhere.txt",
        "fedner.cli.verbs.overlap:lookup",
    )
    parser.add_argument("findings", type=Path, help="the file that `fedner data overlap --output` wrote")
    parser.add_argument(
        "--documents", type=Path, required=True, metavar="FILE", help="NAME.documents.json of the site's fingerprint"
    )
    parser.add_argument(
        "--write-excluded",
        type=Path,
        metavar="FILE",
        help="a new file for the ids of its dev and test documents that lie in another site's train, for "
        "data.exclude_documents",
    )
    add_json(parser)


def contract() -> Parser:
    """`fedner contract propose | diff`."""
    parser = Parser(
        "contract",
        "Draft a label contract, or show what changed in one.",
        "fedner contract propose north.yaml south.yaml --name letters --out labels.yaml\n"
        "         fedner contract propose north.yaml east.yaml --base labels.yaml --out labels-2.yaml\n"
        "         fedner contract diff labels.yaml labels-2.yaml",
    )
    propose = parser.action(
        "propose",
        "draft a contract from the types that sites declare, and list what they should talk about\n\n"
        "The draft has the union of all types. Nothing is merged: two names that may mean one type, or one name that\n"
        "may mean two, are listed for people to settle.",
        "fedner contract propose north.yaml south.yaml --name letters --out labels.yaml",
        "fedner.cli.verbs.contract:propose_contract",
    )
    propose.add_argument("files", nargs="+", type=Path, help="YAML of a site: `site` and `types` (name: meaning)")
    propose.add_argument("--name", default="entities", help="name of a new contract")
    propose.add_argument("--base", type=Path, help="the contract so far: its types stay first and in their order")
    propose.add_argument("--out", type=Path, help="a new file for the draft")
    add_json(propose)
    diff = parser.action(
        "diff",
        "show added, removed and changed types, and what that means for trained models",
        "fedner contract diff labels.yaml labels-2.yaml",
        "fedner.cli.verbs.contract:diff",
    )
    diff.add_argument("old", type=Path)
    diff.add_argument("new", type=Path)
    add_json(diff)
    return parser
