"""Prometheus metrics of the listener; docs/operate.md lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, ProcessCollector, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from skipseg.models.errors import UsageError


class Counters:
    """What was taken in, and what was not."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._instances = Counter(
            "skipseg_dicom_instances", "C-STORE requests, by the status they got.", ["status"], registry=self.registry
        )
        self._bytes = Counter("skipseg_dicom_bytes", "Bytes of instances kept.", registry=self.registry)
        self._series = Counter("skipseg_dicom_series", "What became of series.", ["outcome"], registry=self.registry)
        self._refused = Counter(
            "skipseg_dicom_refused", "Connections and associations refused.", ["reason"], registry=self.registry
        )
        ProcessCollector(registry=self.registry)
        for outcome in ("ordered", "no_rule", "expired"):
            self._series.labels(outcome)  # at 0 from the start: Prometheus sees no increase in what was not there

    def instance(self, status: str, size: int) -> None:
        self._instances.labels(status).inc()
        self._bytes.inc(size)

    def series(self, outcome: str) -> None:
        self._series.labels(outcome).inc()

    def refused(self, reason: str) -> None:
        self._refused.labels(reason).inc()

    def tell_on(self, port: int, waiting: Callable[[], tuple[int, int]]) -> None:
        """Answer Prometheus on loopback; raises ``UsageError`` when the port is taken."""
        self.registry.register(_Waiting(waiting))
        try:
            start_http_server(port, "127.0.0.1", self.registry)
        except OSError as error:
            raise UsageError(f"cannot tell metrics on port {port}: {error.strerror}") from None


@dataclass(frozen=True, eq=False)
class _Waiting(Collector):
    read: Callable[[], tuple[int, int]]

    def collect(self) -> Iterable[Metric]:
        coming, waiting = self.read()
        yield GaugeMetricFamily("skipseg_dicom_series_open", "Series that may still grow.", coming)
        yield GaugeMetricFamily("skipseg_dicom_series_waiting", "Series that are to be ordered, or held.", waiting)
