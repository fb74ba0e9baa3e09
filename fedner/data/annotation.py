"""Who annotated what: taking types out of documents, so that sites differ in the types they annotate."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from fedner.config.suggesting import suggestion
from fedner.data.corpus import Document, Shard
from fedner.data.labels import LabelContract
from fedner.errors import ConfigError


def without_types(document: Document, types: Collection[str]) -> Document:
    """Return a document without annotation of some types: their tags are O, and `unannotated` lists them."""
    hidden = (*document.unannotated, *(name for name in types if name not in document.unannotated))
    sentences = tuple(replace(each, tags=tags_without(each.tags, types)) for each in document.sentences)
    return replace(document, sentences=sentences, unannotated=hidden)


def tags_without(tags: Sequence[str], types: Collection[str]) -> tuple[str, ...]:
    """Return IOB2 tags with O in place of some types."""
    return tuple("O" if tag[2:] in types else tag for tag in tags)


def annotate_partly(
    shards: Iterable[Shard], annotated: Mapping[str, Sequence[str]], contract: LabelContract, *, whole_test: bool
) -> list[Shard]:
    """Take what a site did not annotate out of its train and dev text, and of its test text unless that stays whole.

    Args:
        shards: sites with everything annotated.
        annotated: site -> the types it annotates; sites that are not named annotate all.

    Raises:
        ConfigError: a site is not there, or a type is not of the contract.
    """
    sites = list(shards)
    for site, types in annotated.items():
        _check(site, types, [shard.site for shard in sites], contract)
    return [_partly(shard, annotated.get(shard.site), contract, whole_test) for shard in sites]


def _partly(shard: Shard, annotated: Sequence[str] | None, contract: LabelContract, whole_test: bool) -> Shard:
    hidden = [] if annotated is None else [name for name in contract.type_names if name not in annotated]
    if not hidden:
        return shard
    train, dev, test = (
        tuple(without_types(document, hidden) for document in documents)
        for documents in (shard.train, shard.dev, () if whole_test else shard.test)
    )
    return replace(shard, train=train, dev=dev, test=shard.test if whole_test else test)


def _check(site: str, types: Sequence[str], sites: Sequence[str], contract: LabelContract) -> None:
    if site not in sites:
        raise ConfigError(
            f"partition.annotated: expected one of the sites {', '.join(sites)}, got {site!r}{suggestion(site, sites)}"
        )
    for name in types:
        if name not in contract.type_names:
            raise ConfigError(
                f"partition.annotated.{site}: expected types of contract '{contract.name}' "
                f"({', '.join(contract.type_names)}), got {name!r}{suggestion(name, contract.type_names)}"
            )
