"""What a service counts, in Prometheus's form."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


class Metrics:
    """Counters of one service, which share nothing with others of the process.

    Args:
        waiting_tokens: Tells how many tokens wait at the moment.
    """

    def __init__(self, waiting_tokens: Callable[[], float]) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(PLATFORM_COLLECTOR)
        registry.register(GC_COLLECTOR)
        self._requests = Counter(
            "elmo_tagger_requests", "Requests answered, by route and status.", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "elmo_tagger_request_seconds", "Time to the answer.", ["route"], buckets=_SECONDS, registry=registry
        )
        self._tokens = Counter("elmo_tagger_tokens", "Tokens tagged.", registry=registry)
        self._batch_tokens = Histogram(
            "elmo_tagger_batch_tokens", "Tokens of a batch.", buckets=_SIZES, registry=registry
        )
        self._batch_sentences = Histogram(
            "elmo_tagger_batch_sentences", "Sentences of a batch.", buckets=_SIZES, registry=registry
        )
        Gauge("elmo_tagger_waiting_tokens", "Tokens in the queue.", registry=registry).set_function(waiting_tokens)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer; the route is one of the application's, so that their number is bounded."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def batched(self, sentences: int, tokens: int) -> None:
        """Count a batch."""
        self._tokens.inc(tokens)
        self._batch_tokens.observe(tokens)
        self._batch_sentences.observe(sentences)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)
