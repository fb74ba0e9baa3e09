"""The site: says hello, trains, evaluates. A Flower ClientApp, the same in process, on Ray and in a deployment.

In a simulation node `partition-id` is the site of that number in the partition that the config describes. A node whose
config names a `site-file` and a `contract` is a real site and reads its own text, whatever the run says; its policy
and its audit trail stand around everything (`guard`). Model, text and encodings are made once per process and stay
warm. What a site keeps between rounds lies in its `memory`.

Every error leaves the site as a code and a safe sentence; the exception itself stays in the site's log.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from time import monotonic

import numpy as np
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from fedner.config import AtSitesData, Config, loads
from fedner.data.corpus import Shard, num_sentences
from fedner.data.labels import LabelContract
from fedner.data.simulated_sites import Sites, load_sites
from fedner.errors import AuditError, FederationError, InputError, PolicyError, RunDirectoryError, RunError
from fedner.learning.inference import evaluate
from fedner.learning.tagger.tensors import get_state, personal_state, set_personal, set_state
from fedner.learning.training.fitting import fit
from fedner.learning.training.memory import TrainingMemory
from fedner.learning.training.schedule import in_round
from fedner.learning.workspace import Workspace, workspace
from fedner.metrics import total
from fedner.protocol import wire
from fedner.protocol.auxiliary import CONTROL
from fedner.protocol.messages import UNKNOWN, AnyRequest, EvaluateReply, Header, HelloReply, TrainReply
from fedner.protocol.packing import is_wrapped, unwrap, wrap
from fedner.records.environment import package_version
from fedner.refusals import Refusal, RefusalCode
from fedner.release.saving import save_site_model
from fedner.site.guard import Guard, guard_of
from fedner.site.memory import PERSONAL, TRAINING, SiteMemory, memory_of
from fedner.site.node_config import CONTRACT, SITE_FILE
from fedner.site.own_data import own_text, text_digest
from fedner.tensors import State

app = ClientApp()
_LOG = logging.getLogger(__name__)

SAFE_SENTENCES = {
    "config": "the configuration does not fit this site",
    "data": "the site's text cannot be read",
    "labels": "the site's labels do not fit the label contract",
    "assets": "a model or corpus file is missing at the site",
    "input": "something the run needs is missing at the site",
    "run-directory": "a directory at the site cannot be used",
    "audit": "the site cannot keep its audit trail, and does nothing that it cannot write down",
}
"""What leaves the site for each error code; the exceptions' own text may quote the site's text or paths."""


@dataclass(frozen=True)
class LocalSite:
    """One site, as this process sees it; `num_sites` is how many a simulation has."""

    config: Config
    contract: LabelContract
    shard: Shard
    num_sites: int | None = None

    def workspace(self) -> Workspace:
        """Return the process's tagger and encodings."""
        return workspace(self.config.model, self.contract)


@app.query("hello")
def hello(message: Message, context: Context) -> Message:
    """Introduce the site."""
    return _answer(_hello, message, context)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train for one round."""
    return _answer(_train, message, context)


@app.evaluate()
def score_split(message: Message, context: Context) -> Message:
    """Score a state on the site's dev or test documents."""
    return _answer(_evaluate, message, context)


def _hello(message: Message, context: Context) -> RecordDict:
    request = wire.read_hello_request(message)
    opened = _open(request, context)
    return wire.hello_reply(opened.guard.hello(introduction(request.header, opened.site), opened.site.config))


def introduction(asked: Header, site: LocalSite) -> HelloReply:
    """Return how a site introduces itself, before its policy has a say."""
    return HelloReply(
        header=_own_header(asked, site),
        site=site.shard.site,
        contract=site.contract,
        fedner_version=package_version("fedner") or UNKNOWN,
        flower_version=package_version("flwr") or UNKNOWN,
        train_sentences=num_sentences(site.shard.train),
        dev_sentences=num_sentences(site.shard.dev),
        test_sentences=num_sentences(site.shard.test),
        num_sites=site.num_sites,
    )


def _train(message: Message, context: Context) -> RecordDict:
    started = monotonic()
    request = wire.read_train_request(message)
    opened = _open(request, context)
    site, memory = opened.site, opened.memory
    _require_contract(request.header, site)
    space, config = site.workspace(), site.config
    encoded = space.encoded(site.shard.train)
    _put_in_place(space, request.arrays, memory, request.header.round - 1, request.header.seed)
    kept = memory.before(TRAINING, request.header.round)
    task = in_round(
        config.training,
        seed=request.header.seed,
        site=site.shard.site,
        number=request.header.round,
        rounds=config.federation.rounds,
        control=request.auxiliary.get(CONTROL),
    )
    fitted = fit(space.tagger, encoded, task, memory=None if kept is None else TrainingMemory.from_arrays(kept))
    memory.keep(TRAINING, request.header.round, fitted.memory.to_arrays())
    if space.tagger.personal:
        personal = personal_state(space.tagger.model, space.tagger.personal)
        memory.keep(PERSONAL, request.header.round, personal, also=request.best_rounds)
    reply = TrainReply(
        header=_own_header(request.header, site),
        started_from=request.state,
        arrays=get_state(space.tagger.model, without=space.tagger.personal, copy=False),
        num_examples=fitted.num_examples,
        num_words=fitted.num_words,
        loss_sum=fitted.loss_sum,
        steps=fitted.steps,
        seconds=monotonic() - started,
        auxiliary={} if fitted.control_change is None else {CONTROL: fitted.control_change},
    )
    return wire.train_reply(opened.guard.update(reply, num_sentences(site.shard.train), config))


def _evaluate(message: Message, context: Context) -> RecordDict:
    started = monotonic()
    request = wire.read_evaluate_request(message)
    opened = _open(request, context)
    site, folder = opened.site, opened.memory.folder
    _require_contract(request.header, site)
    if request.split not in ("dev", "test"):
        raise FederationError(f"evaluation: expected split dev or test, got '{request.split}'")
    space = site.workspace()
    encoded = space.encoded(site.shard.split(request.split))
    _put_in_place(space, request.arrays, opened.memory, request.state_round, request.header.seed)
    evaluation = evaluate(space.tagger, encoded, site.config.training)
    if request.split == "test" and space.tagger.personal and folder is not None:
        save_site_model(space.tagger, site.config, site.shard.site, folder / "model")
    reply = EvaluateReply(
        header=_own_header(request.header, site),
        counts=total(evaluation.document_counts),
        loss_sum=evaluation.loss_sum,
        num_words=evaluation.num_words,
        seconds=monotonic() - started,
        document_counts=evaluation.document_counts,
        unannotated=site.shard.unannotated(request.split),
    )
    return wire.evaluate_reply(opened.guard.scores(reply, request, site.contract.type_names))


def _put_in_place(space: Workspace, arrays: State, memory: SiteMemory, state_round: int, seed: int) -> None:
    """Load the global state after a round into the tagger, with this site's personal tensors after that round."""
    model, personal = space.tagger.model, space.tagger.personal
    if personal:
        kept = memory.before(PERSONAL, state_round + 1)
        mine = (
            space.initial_personal(seed)
            if kept is None
            else {name: np.asarray(kept[name], np.float32) for name in kept}
        )
        set_personal(model, mine, personal)
    set_state(model, arrays, without=personal)


@dataclass(frozen=True)
class _Opened:
    """What every request needs that the site works on."""

    guard: Guard
    site: LocalSite
    memory: SiteMemory


def _open(request: AnyRequest, context: Context) -> _Opened:
    """Admit a request, and a real site's text to its run, before anything is read."""
    guard = guard_of(context)
    guard.admit(request, _run_config(request.config))
    memory = memory_of(context, request.header)
    check = partial(guard.admit_text, run=request.header.run, memory=memory)
    return _Opened(guard, local_site(request.config, context, check), memory)


def local_site(config_text: str, context: Context, check_text: Callable[[str], None] | None = None) -> LocalSite:
    """Return the site that a node stands for.

    Args:
        config_text: the run's config, as it travels.
        context: the node's.
        check_text: given the digest of a real site's text before that is read; raises where it must not be used.

    Raises:
        FederationError: the node does not say which site it is, or the run is not for such a site.
        InputError: the config, the site file or the text is at fault.
    """
    if SITE_FILE in context.node_config:
        return _real_site(_run_config(config_text), context, check_text)
    return _simulated(config_text, context)


def _real_site(config: Config, context: Context, check_text: Callable[[str], None] | None) -> LocalSite:
    if not isinstance(config.data, AtSitesData):
        raise FederationError(
            f"the run brings data.kind={config.data.kind}, but a real site reads its own text alone; submit it with "
            "data=at_sites"
        )
    if CONTRACT not in context.node_config:
        raise FederationError("this node's config names a site file, but no contract; start it with `fedner client`")
    site_file, contract_file = (Path(str(context.node_config[key])) for key in (SITE_FILE, CONTRACT))
    digest = text_digest(site_file, contract_file)
    if check_text is not None:
        check_text(digest)
    text = own_text(site_file, contract_file, digest)
    return LocalSite(config=guard_of(context).on_this_machine(config), contract=text.contract, shard=text.shard)


def _simulated(config_text: str, context: Context) -> LocalSite:
    config, sites = _run_config(config_text), _sites(config_text)
    number, nodes = context.node_config.get("partition-id"), context.node_config.get("num-partitions")
    if not isinstance(number, int) or not isinstance(nodes, int):
        raise FederationError(
            "this node's config has neither a site-file nor partition-id and num-partitions, so it is no site"
        )
    if nodes != len(sites.shards):
        raise FederationError(
            f"the partition makes {len(sites.shards)} sites, but {nodes} nodes were started; start as many nodes as "
            f"sites: flwr run … --federation-config num-supernodes={len(sites.shards)}"
        )
    return LocalSite(config=config, contract=sites.corpus.contract, shard=sites.shards[number], num_sites=nodes)


@lru_cache(maxsize=2)
def _run_config(text: str) -> Config:
    # Every message brings the config; parsing it costs more than the work that many a message asks for.
    return loads(text)


@lru_cache(maxsize=2)
def _sites(config_text: str) -> Sites:
    config = _run_config(config_text)
    return load_sites(config.data, config.partition)


def _own_header(asked: Header, site: LocalSite) -> Header:
    return Header(run=asked.run, round=asked.round, seed=asked.seed, contract=site.contract.digest)


def _require_contract(asked: Header, site: LocalSite) -> None:
    if asked.contract != site.contract.digest:
        raise FederationError(
            f"the request is for label contract {asked.contract[:12]}, this site holds {site.contract.digest[:12]}"
        )


def _answer(work: Callable[[Message, Context], RecordDict], message: Message, context: Context) -> Message:
    wrapped = False
    try:
        wrapped = is_wrapped(message.content)
        message.content = unwrap(message.content)
        guard_of(context).arrived(message)
        content = work(message, context)
    except Exception as error:  # the last line of defence: nothing but the safe sentence may leave the site
        content = _failed(error, message)
    try:
        # An answer is recorded before it leaves; one that cannot be recorded stays here.
        guard_of(context).leaving(message, content)
    except Exception as error:
        content = _failed(error, message)
    return Message(wrap(content) if wrapped else content, reply_to=message)


def _failed(error: Exception, message: Message) -> RecordDict:
    if isinstance(error, PolicyError):
        _LOG.warning("this site's policy refuses a %s request: %s", message.metadata.message_type, error)
        return wire.refusal(error.refusal)
    _LOG.error("this site could not answer a %s request", message.metadata.message_type, exc_info=error)
    return wire.refusal(_safe(error))


def _safe(error: Exception) -> Refusal:
    match error:
        case RunDirectoryError() | AuditError() | InputError():
            return Refusal(error.code, SAFE_SENTENCES.get(error.code, "the site could not answer"))
        case RunError():  # by the convention of `errors`: names, digests and numbers only
            return Refusal(error.code, str(error))
        case MemoryError():
            return Refusal(
                RefusalCode.memory, "out of memory at the site; lower training.batch_size or model.max_length"
            )
        case _:
            return Refusal(
                RefusalCode.internal, f"unexpected {type(error).__name__} at the site; the site's own log says more"
            )
