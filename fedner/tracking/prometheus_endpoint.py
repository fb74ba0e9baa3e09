"""Prometheus: an HTTP endpoint on the server that says, while a run lasts, where it stands."""

import math

from fedner.config import TrackingConfig
from fedner.records.events import (
    Event,
    QuorumMissed,
    ReplyAccepted,
    ReplyRefused,
    RoundEvaluated,
    RoundStarted,
    RunFinished,
    RunResumed,
    RunStarted,
    SiteJoined,
    SiteSuspended,
)
from fedner.tracking.subject import Subject

_SECONDS = (1, 5, 15, 60, 300, 900, 3600, 14400, 43200)
"""Bounds of the histograms: a round on a test machine takes a second, at a hospital hours."""


def open_prometheus(tracking: TrackingConfig, subject: Subject) -> "Prometheus":
    """Open the endpoint."""
    assert tracking.prometheus_port is not None
    return Prometheus(subject, tracking.prometheus_host, tracking.prometheus_port)


class Prometheus:
    """Counts what happens in this process, as Prometheus expects: a resumed run counts from zero again.

    Args:
        subject: the run.
        host: address to listen on.
        port: TCP port; 0 takes a free one.
    """

    def __init__(self, subject: Subject, host: str, port: int) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

        registry = CollectorRegistry()

        def gauge(name: str, meaning: str, *labels: str) -> Gauge:
            return Gauge(name, meaning, labels, registry=registry)

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(name, meaning, labels, registry=registry)

        def histogram(name: str, meaning: str, *labels: str) -> Histogram:
            return Histogram(name, meaning, labels, registry=registry, buckets=_SECONDS)

        gauge("fedner_run_info", "The run of this endpoint", "run").labels(subject.name).set(1)
        self._planned = gauge("fedner_rounds", "Rounds planned")
        self._round = gauge("fedner_round", "Rounds done")
        self._done_at = gauge("fedner_last_round_timestamp_seconds", "When the last round was done, Unix time")
        self._finished = gauge("fedner_run_finished", "Whether the run came to its end")
        self._dev = {name: gauge(f"fedner_dev_{name}", f"Pooled dev micro {name} of the last round")
                     for name in ("f1", "precision", "recall")}  # fmt: skip
        self._types = gauge("fedner_dev_type_f1", "Pooled dev F1 of the last round by entity type", "type")
        self._best_f1 = gauge("fedner_best_dev_f1", "Pooled dev micro F1 of the best round")
        self._best_round = gauge("fedner_best_round", "The round with the best pooled dev micro F1")
        self._test_f1 = gauge("fedner_test_f1", "Pooled test micro F1 of the best round")
        self._loss = gauge("fedner_train_loss", "Training loss per word of the last round, in nats")
        self._sites = gauge("fedner_sites", "Sites of the last round by what became of their replies", "outcome")
        self._seconds = histogram("fedner_round_seconds", "Wall time of a round")
        self._sent = counter("fedner_sent_bytes", "Tensors sent to sites")
        self._received = counter("fedner_received_bytes", "Tensors received from sites that counted")
        self._quorum = counter("fedner_quorum_missed", "Rounds, tries included, without a quorum")
        self._site_up = gauge("fedner_site_joined", "Whether the site takes part; 0 once it is suspended", "site")
        self._site_sentences = gauge("fedner_site_train_sentences", "Training sentences the site said it has", "site")
        self._site_loss = gauge("fedner_site_train_loss", "The site's last training loss per word, in nats", "site")
        self._site_norm = gauge("fedner_site_update_norm", "Norm of the site's last update", "site")
        self._site_weight = gauge("fedner_site_weight", "Weight of the site's last update", "site")
        self._site_examples = counter("fedner_site_examples", "Sentences the site passed through training", "site")
        self._site_accepted = counter("fedner_site_accepted", "Training replies of the site that counted", "site")
        self._site_refused = counter(
            "fedner_site_refused", "Replies of the site that did not count, silence included", "site", "phase"
        )
        self._site_seconds = histogram(
            "fedner_site_train_seconds", "Wall time of a round's training at the site", "site"
        )
        for unknown in (*self._dev.values(), self._best_f1, self._test_f1, self._loss):
            unknown.set(math.nan)  # no score yet, which is not a score of 0
        ProcessCollector(registry=registry)
        self._server, self._thread = start_http_server(port, host, registry)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._server.server_port

    def event(self, event: Event) -> None:
        """Update what the event is about."""
        match event:
            case RunStarted():
                self._planned.set(event.rounds)
            case RunResumed():
                self._planned.set(event.rounds)
                self._round.set(event.round)
            case SiteJoined():
                self._site_up.labels(event.site).set(1)
                if event.train_sentences is not None:
                    self._site_sentences.labels(event.site).set(event.train_sentences)
            case RoundStarted():
                self._planned.set(event.rounds)
            case SiteSuspended():
                self._site_up.labels(event.site).set(0)
            case ReplyAccepted():
                self._accepted(event)
            case ReplyRefused():
                self._site_refused.labels(event.site, event.phase).inc()
            case QuorumMissed():
                self._quorum.inc()
            case RoundEvaluated():
                self._evaluated(event)
            case RunFinished():
                self._test_f1.set(event.test_f1)
                self._finished.set(1)
            case _:
                pass

    def _accepted(self, event: ReplyAccepted) -> None:
        self._site_accepted.labels(event.site).inc()
        self._site_examples.labels(event.site).inc(event.examples)
        self._site_loss.labels(event.site).set(event.loss)
        self._site_norm.labels(event.site).set(event.norm)
        self._site_weight.labels(event.site).set(event.weight)
        self._site_seconds.labels(event.site).observe(event.seconds)

    def _evaluated(self, event: RoundEvaluated) -> None:
        self._round.set(event.round)
        self._done_at.set_to_current_time()
        self._seconds.observe(event.seconds)
        self._sent.inc(event.bytes_down)
        self._received.inc(event.bytes_up)
        for outcome, sites in (("counted", event.weights), ("missing", event.missing), ("refused", event.refused)):
            self._sites.labels(outcome).set(len(sites))
        for name, value in (("f1", event.dev_f1), ("precision", event.dev_precision), ("recall", event.dev_recall)):
            if value is not None:
                self._dev[name].set(value)
        for name, f1 in event.dev_types.items():
            self._types.labels(name).set(f1)
        if event.best_f1 is not None:
            self._best_f1.set(event.best_f1)
            self._best_round.set(event.best_round)
        if event.train_loss is not None:
            self._loss.set(event.train_loss)

    def close(self, finished: bool) -> None:
        """Close the endpoint."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
