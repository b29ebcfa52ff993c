"""Prometheus metrics in a registry of their own, so that two apps in one process do not share counters."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0

from skipseg.service.record import Stages

CONTENT_TYPE = CONTENT_TYPE_PLAIN_1_0_0
BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """Requests by route and status, seconds by route and by stage, scans in the line, models in memory."""

    def __init__(self, waiting: Callable[[], int], loaded: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "skipseg_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
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
        Gauge("skipseg_queue_length", "Scans between upload and answer.", registry=self.registry).set_function(waiting)
        Gauge("skipseg_models_loaded", "Models in memory and warm.", registry=self.registry).set_function(loaded)

    def count(self, method: str, route: str, status: int, seconds: float, stages: Stages) -> None:
        """One request was answered."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(route).observe(seconds)
        for stage, spent in stages.seconds.items():
            self._stages.labels(stage).observe(spent)

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)
