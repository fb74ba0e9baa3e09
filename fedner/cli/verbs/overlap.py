"""Verbs about text at several sites: data fingerprint, data overlap, data lookup."""

import hashlib
import sys
from argparse import Namespace
from pathlib import Path

from fedner.audit.entries import Fingerprinted
from fedner.cli.console import print_json, stdout
from fedner.config.site import SiteConfig, read_site
from fedner.data.exclusion import write_excluded
from fedner.data.labels import read_contract
from fedner.data.mapping import read_site_shard
from fedner.data.overlap import (
    Fingerprint,
    find_overlap,
    look_up,
    make_key,
    read_documents_of,
    read_findings,
    read_fingerprint,
    read_key,
    take_fingerprint,
    write_documents,
    write_findings,
    write_fingerprint,
)
from fedner.data.overlap.files import require_new
from fedner.errors import AuditError, ConfigError, PolicyError
from fedner.refusals import Refusal, RefusalCode
from fedner.report.text.overlap import overlap_lines, overlap_tables, own_lines, own_tables
from fedner.site.trail import trail_of


def fingerprint(options: Namespace) -> None:
    """`fedner data fingerprint`."""
    needed = [options.contract, options.site, options.key, options.output]
    if (options.new_key is None) != all(needed) or (options.new_key is not None and any(needed)):
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


def _note(site: SiteConfig, taken: Fingerprint, path: Path) -> None:
    """Record in the site's audit trail that a fingerprint may leave."""
    content = path.read_bytes()
    entry = Fingerprinted(
        file=path.name,
        key=taken.key_id,
        documents=taken.sizes(),
        num_bytes=len(content),
        digest=hashlib.sha256(content).hexdigest(),
    )
    trail_of(site).append(entry)


def overlap(options: Namespace) -> None:
    """`fedner data overlap`."""
    found = find_overlap([read_fingerprint(path) for path in options.files], options.threshold)
    if options.output is not None:
        write_findings(found, options.output)
    if options.json:
        print_json(found.to_json())
        return
    for table in overlap_tables(found):
        stdout().print(table)
    print("\n".join(overlap_lines(found)))


def lookup(options: Namespace) -> None:
    """`fedner data lookup`."""
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
