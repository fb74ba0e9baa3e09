"""Verbs about text at several sites: data fingerprint, data overlap, data lookup."""

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fedner.cli.console import print_json, stdout
from fedner.cli.options import Parser
from fedner.errors import AuditError, ConfigError, PolicyError
from fedner.refusals import Refusal, RefusalCode

if TYPE_CHECKING:
    from fedner.config.site import SiteConfig
    from fedner.data.overlap.fingerprints import Fingerprint

OVERLAP = """\
fedner data fingerprint | overlap | lookup: do sites hold one another's documents? Without any text leaving a site

example: fedner data fingerprint --new-key overlap.key
         fedner data fingerprint --contract labels.yaml --site site.yaml --key overlap.key --output north.json
         fedner data overlap north.json south.json --output findings.json
         fedner data lookup findings.json --documents north.documents.json --write-excluded elsewhere.txt
  fingerprint       at a site: signatures of its documents, if policy.fingerprints of its site file is true; beside them
                    NAME.documents.json, what the references in them mean, which stays at the site
    --new-key       a new file for the key that all sites share; whoever compares must not have it
    --key           that key; a file that only its owner can read
    --min-words     shorter documents are left out (50): the fewer words, the more a signature shows of each
  overlap           anywhere, without the key: which documents of different sites are nearly the same
    --threshold     estimated Jaccard similarity from which they are (0.75)
  lookup            at a site: which of its own documents the findings are about
    --write-excluded  a new file for the ids of its dev and test documents that lie in another site's train, for
                    data.exclude_documents
  --json            one line of JSON
docs/security.md says what a fingerprint shows to whom.
"""


def overlap_verb(action: str, arguments: list[str]) -> None:
    """`fedner data fingerprint | overlap | lookup`."""
    {"fingerprint": _fingerprint, "overlap": _overlap, "lookup": _lookup}[action](arguments)


def _fingerprint(arguments: list[str]) -> None:
    from fedner.config.site import read_site
    from fedner.data.labels import read_contract
    from fedner.data.mapping import read_site_shard
    from fedner.data.overlap import make_key, read_key, take_fingerprint, write_documents, write_fingerprint
    from fedner.data.overlap.files import require_new
    from fedner.data.overlap.fingerprints import MIN_WORDS

    parser = Parser(prog="fedner data fingerprint", allow_abbrev=False)
    for name in ("--new-key", "--contract", "--site", "--key", "--output"):
        parser.add_argument(name, type=Path, metavar="FILE")
    parser.add_argument("--min-words", type=int, default=MIN_WORDS)
    options = parser.parse_args(arguments)
    wanted = [options.contract, options.site, options.key, options.output]
    if (options.new_key is None) != all(wanted) or (options.new_key is not None and any(wanted)):
        raise ConfigError(
            "data fingerprint: expected --contract, --site, --key and --output, each with a file, or --new-key alone"
        )
    if options.new_key is not None:
        print(f"{options.new_key}: key {make_key(options.new_key).id}; for the sites alone")
        return
    site = read_site(options.site)
    if not site.policy.fingerprints:
        raise PolicyError(
            Refusal(
                RefusalCode.policy_fingerprints,
                f"{options.site}: policy.fingerprints is false, so no fingerprint of this site's documents may leave; "
                "docs/security.md says what one shows",
            )
        )
    documents = options.output.with_suffix(".documents.json")
    require_new(options.output, documents)
    key, shard = read_key(options.key), read_site_shard(site, read_contract(options.contract))
    splits = {split: shard.split(split) for split in ("train", "dev", "test")}
    taken = take_fingerprint(site.site, splits, key, options.min_words)
    # First what stays, as a fingerprint without it could leave and nobody could say what was found.
    write_documents(taken, documents)
    write_fingerprint(taken.fingerprint, options.output)
    try:
        _note(site, taken.fingerprint, options.output)
    except AuditError:
        options.output.unlink()
        documents.unlink()
        raise
    sizes = ", ".join(f"{number:,} {split}" for split, number in taken.fingerprint.sizes().items())
    print(f"{options.output}: {sizes} documents, key {key.id}; to whoever compares")
    print(f"{documents}: what its references mean; stays here")
    if taken.too_short:
        print(f"{taken.too_short:,} documents have fewer than {options.min_words} words and were left out")


def _note(site: "SiteConfig", fingerprint: "Fingerprint", path: Path) -> None:
    """Write down in the site's audit trail that a fingerprint may leave."""
    from fedner.audit.entries import Fingerprinted
    from fedner.site.trail import trail_of

    content = path.read_bytes()
    entry = Fingerprinted(
        file=path.name,
        key=fingerprint.key_id,
        documents=fingerprint.sizes(),
        num_bytes=len(content),
        digest=hashlib.sha256(content).hexdigest(),
    )
    trail_of(site).append(entry)


def _overlap(arguments: list[str]) -> None:
    from fedner.data.overlap import find_overlap, read_fingerprint, write_findings
    from fedner.data.overlap.comparing import THRESHOLD
    from fedner.report.text.overlap import overlap_lines, overlap_tables

    parser = Parser(prog="fedner data overlap", allow_abbrev=False)
    parser.add_argument("files", nargs="+", type=Path, help="fingerprints, one a site")
    parser.add_argument("--threshold", type=float, default=THRESHOLD)
    parser.add_argument("--output", type=Path, metavar="FILE", help="a new file for the findings, for the sites")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = find_overlap([read_fingerprint(path) for path in options.files], options.threshold)
    if options.output is not None:
        write_findings(found, options.output)
    if options.json:
        print_json(found.to_json())
        return
    for table in overlap_tables(found):
        stdout().print(table)
    print("\n".join(overlap_lines(found)))


def _lookup(arguments: list[str]) -> None:
    from fedner.data.exclusion import write_excluded
    from fedner.data.overlap import look_up, read_documents_of, read_findings
    from fedner.report.text.overlap import own_lines, own_tables

    parser = Parser(prog="fedner data lookup", allow_abbrev=False)
    parser.add_argument("findings", type=Path, help="what `fedner data overlap --output` wrote")
    parser.add_argument("--documents", type=Path, required=True, metavar="FILE")
    parser.add_argument("--write-excluded", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = look_up(read_findings(options.findings), *read_documents_of(options.documents))
    if options.write_excluded is not None:
        write_excluded(found.to_leave_out, options.write_excluded)
    if options.json:
        print_json(found.to_json())
        return
    print("note: what follows names the site's own documents; it is for its own terminal only", file=sys.stderr)
    for table in own_tables(found):
        stdout().print(table)
    print("\n".join(own_lines(found)))
