"""A dry run: what would leave a site, under its policy, in answer to each request of a run. Nothing is sent.

The replies are built as the client app builds them, from the site's own text, and pass the site's own guard. Nothing is
trained or scored for it: tensors are those of the run's first state, with the names, shapes and sizes of every later
one, and for scores stand those of a model that finds nothing, since the gold entities decide what a policy lets out.
Values that work would bring are named, not made up.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from flwr.app import Context, RecordDict

from fedner.config import Config, dumps
from fedner.config.policy import Request
from fedner.data.corpus import num_sentences
from fedner.errors import PolicyError
from fedner.metrics import DocumentCounts, count_documents, total
from fedner.protocol import wire
from fedner.protocol.auxiliary import CONTROL
from fedner.protocol.budget import most_examples
from fedner.protocol.manifest import Manifest, manifest
from fedner.protocol.messages import (
    AnyRequest,
    EvaluateReply,
    EvaluateRequest,
    Header,
    HelloRequest,
    TrainReply,
    TrainRequest,
)
from fedner.refusals import Refusal
from fedner.site.app import LocalSite, introduction, local_site
from fedner.site.guard import Guard, guard_of
from fedner.site.policy import kind_of
from fedner.tensors import State, digest

LATER = frozenset(
    f"metrics/{name}" for name in ("loss-sum", "num-words", "seconds", "steps", "num-examples", "tp", "fp", "fn")
)
"""Values that only training or scoring brings."""


@dataclass(frozen=True)
class Leaving:
    """What would leave in answer to one kind of request: a manifest, or the refusal alone."""

    request: Request
    content: Manifest
    refusal: Refusal | None


def preview(config: Config, context: Context) -> list[Leaving]:
    """Return what would leave in answer to each kind of request of a run, at this moment.

    Args:
        config: the run's.
        context: with the node config of the site.

    Raises:
        InputError: the site file, its text or the run's config is at fault.
    """
    text, guard = dumps(config), guard_of(context)
    site = local_site(text, context)
    header = Header(run=config.name or "run", round=0, seed=config.seed, contract=site.contract.digest)
    arrays = _travelling(site)
    trained, scored = replace(header, round=1), _scored(text, arrays)
    train = TrainRequest(header=trained, config=text, state=digest(arrays), arrays=arrays)
    return [
        _leaving(guard, config, HelloRequest(header=header, config=text), lambda: _hello(guard, site, header)),
        _leaving(guard, config, train, lambda: _train(guard, site, train)),
        *(_leaving(guard, config, ask, lambda ask=ask: _scores(guard, site, ask)) for ask in scored(trained, header)),
    ]


def _leaving(guard: Guard, config: Config, request: AnyRequest, build: Callable[[], RecordDict]) -> Leaving:
    refusal: Refusal | None = None
    try:
        guard.admit(request, config)
        content = build()
    except PolicyError as error:
        refusal = error.refusal
        content = wire.refusal(refusal)
    return Leaving(kind_of(request), manifest(content), refusal)


def _travelling(site: LocalSite) -> State:
    space = site.workspace()
    initial = space.initial_state(site.config.seed)
    return {name: array for name, array in initial.items() if name not in space.tagger.personal}


def _scored(text: str, arrays: State) -> Callable[[Header, Header], list[EvaluateRequest]]:
    def requests(of_round: Header, at_end: Header) -> list[EvaluateRequest]:
        dev = EvaluateRequest(header=of_round, config=text, arrays=arrays, state_round=1, split="dev")
        test = EvaluateRequest(header=at_end, config=text, arrays=arrays, state_round=1, split="test", by_document=True)
        return [dev, test]

    return requests


def _hello(guard: Guard, site: LocalSite, header: Header) -> RecordDict:
    return wire.hello_reply(guard.hello(introduction(header, site), site.config))


def _train(guard: Guard, site: LocalSite, request: TrainRequest) -> RecordDict:
    declared, training = num_sentences(site.shard.train), site.config.training
    reply = TrainReply(
        header=request.header,
        started_from=request.state,
        arrays=request.arrays,
        num_examples=most_examples(declared, training),
        num_words=most_examples(declared, training),
        loss_sum=0.0,
        steps=1,
        seconds=0.0,
        auxiliary={CONTROL: request.arrays} if training.scaffold else {},
    )
    return wire.train_reply(guard.update(reply, declared, site.config))


def _scores(guard: Guard, site: LocalSite, request: EvaluateRequest) -> RecordDict:
    documents = _all_missed(site, request.split)
    reply = EvaluateReply(
        header=request.header,
        counts=total(documents),
        loss_sum=0.0,
        num_words=0,
        seconds=0.0,
        document_counts=documents,
        unannotated=site.shard.unannotated(request.split),
    )
    return wire.evaluate_reply(guard.scores(reply, request, site.contract.type_names))


def _all_missed(site: LocalSite, split: str) -> DocumentCounts:
    """Return the counts of a model that finds nothing."""
    documents = site.shard.split(split)
    gold = [sentence.tags for document in documents for sentence in document.sentences]
    of = [number for number, document in enumerate(documents) for _ in document.sentences]
    nothing = [["O"] * len(tags) for tags in gold]
    return count_documents(gold, nothing, of, len(documents), site.contract)
