"""A site's policy narrows what a run asks: what is not allowed is refused before any work, what may not leave stays."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from fedner.config import Config, from_plain, to_plain
from fedner.config.policy import Request, ScoresPolicy, ScoresTold, SitePolicy, Sizes
from fedner.metrics import Counts, total
from fedner.protocol.budget import most_examples
from fedner.protocol.messages import (
    EvaluateReply,
    EvaluateRequest,
    Header,
    HelloReply,
    HelloRequest,
    TrainReply,
    TrainRequest,
)
from fedner.refusals import Refusal
from fedner.server.validation import Limits, validate_update
from fedner.site.policy import before_work, release_hello, release_scores, release_update

HEADER = Header(run="spring-2", round=3, seed=0, contract="ab" * 32)
ARRAYS = {name: np.ones((2, 2), dtype=np.float32) for name in ("bert.encoder.w", "classifier.w")}
NOON = datetime(2026, 3, 4, 12, 0)  # a Wednesday
TYPES = ("DRUG", "DOSE", "DATE")
# Three documents; tp, fp, fn of each type. DRUG stands in all three, DOSE in one, DATE in none.
DOCUMENTS = np.array(
    [[[1, 0, 0], [0, 1, 2], [0, 1, 0]], [[0, 0, 1], [0, 0, 0], [0, 0, 0]], [[2, 1, 0], [0, 0, 0], [0, 2, 0]]],
    dtype=np.int64,
)


def train(**changed: object) -> TrainRequest:
    return replace(TrainRequest(header=HEADER, config="", state="5" * 64, arrays=ARRAYS), **changed)


def scores(split: str) -> EvaluateRequest:
    return EvaluateRequest(
        header=HEADER, config="", arrays=ARRAYS, state_round=3, split=split, by_document=split == "test"
    )


def trained(**changed: object) -> TrainReply:
    told = {"num_examples": 137, "num_words": 2210, "loss_sum": 1105.0, "steps": 9, "seconds": 1.0}
    return TrainReply(header=HEADER, started_from="5" * 64, arrays=ARRAYS, **{**told, **changed})


def scored() -> EvaluateReply:
    counts = total(DOCUMENTS)
    return EvaluateReply(
        header=HEADER, counts=counts, seconds=1.0, loss_sum=2.5, num_words=40, document_counts=DOCUMENTS
    )


@pytest.fixture(scope="module")
def config(small_config) -> Config:
    return small_config()


def with_run(config: Config, **groups: dict) -> Config:
    plain = to_plain(config)
    for group, values in groups.items():
        plain[group] = {**plain[group], **values}
    return from_plain(plain)


def test_the_default_policy_lets_an_ordinary_run_through(config):
    for request in (HelloRequest(header=HEADER, config=""), train(), scores("dev"), scores("test")):
        assert before_work(SitePolicy(), request, config, NOON) is None


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ({"requests": [Request.hello]}, "policy-request"),
        ({"runs": ["autumn-*"]}, "policy-run"),
        ({"contracts": ["cd" * 32]}, "policy-contract"),
        ({"max_rounds": 1}, "policy-rounds"),
        ({"max_epochs": 1.5}, "policy-epochs"),
        ({"min_sites": 2}, "policy-sites"),
        ({"tensors": ["classifier*"]}, "policy-tensors"),
        ({"hours": ["mon-fri 20:00-06:00"]}, "policy-hours"),
        ({"sentences": Sizes.none}, "policy-sizes"),
    ],
)
def test_what_a_policy_forbids_is_refused_before_any_work(config, policy, code):
    # The run has 2 rounds of 2 epochs, promises 1 site, and is asked for at noon.
    refusal = before_work(SitePolicy(**policy), train(), config, NOON)
    assert refusal is not None
    assert refusal.code == code


@pytest.mark.parametrize(
    "policy",
    [
        {"runs": ["spring-*"]},
        {"contracts": [HEADER.contract]},
        {"max_rounds": 3},
        {"max_epochs": 2.0},
        {"tensors": ["classifier*", "bert.*"]},
        {"hours": ["wed 12:00-12:01"]},
        {"sentences": Sizes.rounded},
    ],
)
def test_what_a_policy_just_allows_is_done(config, policy):
    assert before_work(SitePolicy(**policy), train(), config, NOON) is None


def test_a_round_beyond_what_the_run_announced_is_refused_as_well(config):
    late = train(header=replace(HEADER, round=4))
    refusal = before_work(SitePolicy(max_rounds=3), late, config, NOON)
    assert refusal is not None
    assert refusal.code == "policy-rounds"


def test_steps_are_limited_where_a_run_counts_steps(config):
    counted = with_run(config, training={"steps": 40})
    refusal = before_work(SitePolicy(max_steps=39, max_epochs=0.1), train(), counted, NOON)
    assert refusal is not None
    assert refusal.code == "policy-steps"
    assert before_work(SitePolicy(max_steps=40, max_epochs=0.1), train(), counted, NOON) is None


def test_a_refusal_tells_nothing_else_of_the_policy(config):
    secret = SitePolicy(runs=["oncology-trial-*"], hours=["mon 03:00-04:00"])
    for request in (train(), train(header=replace(HEADER, run="oncology-trial-1"))):
        refusal = before_work(secret, request, config, NOON)
        assert refusal is not None
        assert "oncology" not in str(refusal)
        assert "03:00" not in str(refusal)


def test_scores_that_stay_are_not_computed_but_for_a_site_that_then_saves_its_own_model(config):
    policy = SitePolicy(test=ScoresPolicy(tell=ScoresTold.none))
    refusal = before_work(policy, scores("test"), config, NOON)
    assert refusal is not None
    assert refusal.code == "policy-scores"
    personal = with_run(config, model={"personal": ["classifier"]})
    assert before_work(policy, scores("test"), personal, NOON) is None
    released = release_scores(policy, scored(), scores("test"), TYPES)
    assert isinstance(released, Refusal)
    assert released.code == "policy-scores"


def test_all_scores_leave_without_counts_by_document_unless_those_are_allowed():
    released = release_scores(SitePolicy(), scored(), scores("test"), TYPES)
    assert released == replace(scored(), document_counts=None)
    allowed = release_scores(SitePolicy(document_counts=True), scored(), scores("test"), TYPES)
    assert isinstance(allowed, EvaluateReply)
    assert allowed.document_counts is not None
    np.testing.assert_array_equal(allowed.document_counts, DOCUMENTS)


@pytest.mark.parametrize(
    ("told", "withheld"),
    [
        (ScoresPolicy(tell=ScoresTold.listed, types=["DRUG", "OTHER"]), ("DOSE", "DATE")),
        (ScoresPolicy(tell=ScoresTold.supported, min_documents=2), ("DOSE", "DATE")),
        (ScoresPolicy(tell=ScoresTold.supported, min_documents=3), ("DOSE", "DATE")),
    ],
)
def test_counts_of_some_types_leave_as_zeros_that_are_named(told, withheld):
    released = release_scores(SitePolicy(test=told, document_counts=True), scored(), scores("test"), TYPES)
    assert isinstance(released, EvaluateReply)
    # DRUG by hand: 1 + 0 + 2 found, 1 wrong, 1 missed.
    assert released.counts == Counts((3, 0, 0), (1, 0, 0), (1, 0, 0))
    assert released.withheld == withheld
    assert (released.loss_sum, released.num_words) == (None, None)
    assert released.document_counts is not None
    assert released.document_counts[:, 1:].sum() == 0


def test_of_a_type_whose_counts_stay_it_stays_too_whether_it_was_annotated():
    reply = replace(scored(), unannotated=("DOSE", "DRUG"))
    listed = SitePolicy(test=ScoresPolicy(tell=ScoresTold.listed, types=["DRUG"]))
    for policy, told in ((listed, ("DRUG",)), (SitePolicy(), ("DRUG", "DOSE"))):
        released = release_scores(policy, reply, scores("test"), TYPES)
        assert isinstance(released, EvaluateReply)
        assert released.unannotated == told


def test_too_little_support_for_every_type_lets_nothing_out():
    few = SitePolicy(dev=ScoresPolicy(tell=ScoresTold.supported, min_documents=4))
    assert isinstance(release_scores(few, scored(), scores("dev"), TYPES), Refusal)


def hello() -> HelloReply:
    sizes = {"train_sentences": 137, "dev_sentences": 100, "test_sentences": 1}
    return HelloReply(header=HEADER, site="n", contract=None, fedner_version="", flower_version="", **sizes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sizes", "told"), [(Sizes.exact, (137, 100, 1)), (Sizes.rounded, (200, 100, 100)), (Sizes.none, (None,) * 3)]
)
def test_sizes_are_told_as_exactly_as_allowed(config, sizes, told):
    released = release_hello(SitePolicy(sentences=sizes), hello(), config)
    assert (released.train_sentences, released.dev_sentences, released.test_sentences) == told


def test_scores_that_will_not_be_told_are_declined_in_the_handshake(config):
    policy = SitePolicy(requests=[Request.hello, Request.train, Request.test])
    assert release_hello(policy, hello(), config).declines == ("dev",)


def test_rounded_sizes_keep_the_mean_loss_and_stay_plausible(config):
    # 2 epochs of 137 sentences in 18 steps; told are 300, by the same factor more steps (18 x 300/274 = 19.7).
    reply = trained(num_examples=274, num_words=4420, loss_sum=2210.0, steps=18)
    released = release_update(SitePolicy(sentences=Sizes.rounded), reply, 137, config)
    assert isinstance(released, TrainReply)
    assert (released.num_examples, released.num_words, released.steps) == (300, 4500, 20)
    assert released.loss_sum / released.num_words == pytest.approx(0.5)
    limits = Limits(examples=most_examples(200, config.training), step_norm=1.0, typical=None, factor=None)
    assert validate_update(released, train(), limits) == 0.0


def test_a_site_that_tells_no_sizes_sends_numbers_that_follow_from_the_run_alone(config):
    run = with_run(config, training={"steps": 4, "batch_size": 8}, federation={"weighting": "uniform"})
    policy = SitePolicy(sentences=Sizes.none)
    assert before_work(policy, train(), run, NOON) is None
    one = release_update(policy, trained(steps=4, num_examples=30, num_words=300, loss_sum=150.0), 137, run)
    other = release_update(policy, trained(steps=4, num_examples=32, num_words=900, loss_sum=450.0), 5000, run)
    assert one == other  # 4 steps of 8, and the same mean loss
    assert isinstance(one, TrainReply)
    assert (one.num_examples, one.steps) == (32, 4)


def test_a_tensor_that_was_not_asked_for_does_not_leave_either(config):
    policy = SitePolicy(tensors=["classifier*"])
    released = release_update(policy, trained(), 137, config)
    assert isinstance(released, Refusal)
    assert released.code == "policy-tensors"
