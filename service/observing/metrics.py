"""Prometheus metrics in a registry of their own, so that two apps in one process do not share counters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0
from prometheus_client.registry import Collector

from skipseg.service.observing.readings import JobCounts
from skipseg.service.observing.record import RequestRecord

CONTENT_TYPE = CONTENT_TYPE_PLAIN_1_0_0
BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """What every request adds to, and what is read when somebody asks; docs/operate.md lists it all."""

    def __init__(self, *readings: Collector) -> None:
        self.registry = CollectorRegistry()
        self.job_counts: Callable[[], Mapping[str, int]] = dict  # by state; whoever keeps jobs puts theirs here
        self.delivery_counts: Callable[[], Mapping[str, int]] = dict  # likewise
        self._requests = Counter(
            "skipseg_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self._errors = Counter(
            "skipseg_errors", "Problem documents sent, and clients gone.", ["code", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "skipseg_request_seconds", "Time to answer.", ["route"], buckets=BUCKETS, registry=self.registry
        )
        self._stages = Histogram(
            "skipseg_stage_seconds",
            "Time per stage of a segmentation.",
            ["stage"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        for code, status in (("internal", 500), ("queue_full", 429)):
            self._errors.labels(code, status)  # at 0 from the start: Prometheus sees no increase in what was not there
        ProcessCollector(registry=self.registry)
        for reading in (JobCounts(lambda: self.job_counts(), lambda: self.delivery_counts()), *readings):
            self.registry.register(reading)

    def count(self, method: str, route: str, status: int, seconds: float, record: RequestRecord) -> None:
        """One request was answered."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(route).observe(seconds)
        for stage, spent in record.stages.seconds.items():
            self._stages.labels(stage).observe(spent)
        if record.code is not None:
            self._errors.labels(record.code, status).inc()

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)
