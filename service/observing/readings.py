"""Metrics that nobody counts as they happen: they are read off the server when Prometheus asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from skipseg import __version__
from skipseg.models.inference.engine import Engine
from skipseg.service.resident.loaded import LoadedModels
from skipseg.service.waiting.line import Line
from skipseg.service.waiting.room import Room


@dataclass(frozen=True, eq=False)
class ServerReadings(Collector):
    """How far the engine got, what waits for it, and whose memory is taken."""

    engine: Engine
    line: Line
    room: Room
    models: LoadedModels
    device: torch.device

    def collect(self) -> Iterable[Metric]:
        yield from self._work()
        yield from self._models()
        yield from self._memory()
        yield from gpu_memory(self.device)

    def _work(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("skipseg_queue_length", "Scans between upload and answer.", self.line.taken)
        yield GaugeMetricFamily("skipseg_queue_limit", "Scans that may be between the two.", self.line.places)
        yield GaugeMetricFamily(
            "skipseg_scans_in_flight", "Scans whose tiles the device has in hand.", self.engine.in_flight
        )
        yield CounterMetricFamily("skipseg_tiles", "Tiles that a network was run on.", self.engine.tiles_run)
        yield CounterMetricFamily(
            "skipseg_device_busy_seconds", "Time the device was at work for scans.", self.engine.busy_s
        )

    def _models(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("skipseg_models_loaded", "Models in memory and warm.", len(self.models.references()))
        yield GaugeMetricFamily(
            "skipseg_models_failed", "Names whose live version cannot be loaded.", len(self.models.failed)
        )
        loads = CounterMetricFamily("skipseg_model_loads", "Attempts to load a model.", labels=["outcome"])
        for outcome, count in self.models.loader.outcomes.items():
            loads.add_metric([outcome], count)
        yield loads
        build = GaugeMetricFamily("skipseg_build_info", "Always 1; the labels tell.", labels=["version", "device"])
        build.add_metric([__version__, self.models.device_label], 1)
        yield build

    def _memory(self) -> Iterable[Metric]:
        used, budget = self.models.loader.memory
        for name, whose, taken, limit in (
            ("scan", "scans under way", self.room.held, self.room.total),
            ("model", "models", used, budget),
        ):
            yield GaugeMetricFamily(f"skipseg_{name}_memory_bytes", f"Memory that {whose} take.", taken)
            yield GaugeMetricFamily(f"skipseg_{name}_memory_limit_bytes", f"Memory that {whose} may take.", limit)


@dataclass(frozen=True, eq=False)
class JobCounts(Collector):
    """Jobs by state, and results on their way to DICOM nodes by theirs."""

    counts: Callable[[], Mapping[str, int]]
    deliveries: Callable[[], Mapping[str, int]] = dict

    def collect(self) -> Iterable[Metric]:
        jobs = GaugeMetricFamily("skipseg_jobs", "Jobs that the server keeps, by state.", labels=["state"])
        for state, count in self.counts().items():
            jobs.add_metric([state], count)
        yield jobs
        sent = GaugeMetricFamily("skipseg_deliveries", "Results for DICOM nodes, by state.", labels=["state"])
        for state, count in self.deliveries().items():
            sent.add_metric([state], count)
        yield sent


def gpu_memory(device: torch.device) -> Iterable[Metric]:
    """Of the whole device, whoever takes it; no value where there is no GPU."""
    used = GaugeMetricFamily("skipseg_gpu_memory_used_bytes", "Memory of the GPU in use, by anybody.", labels=[])
    total = GaugeMetricFamily("skipseg_gpu_memory_bytes", "Memory of the GPU.", labels=[])
    if device.type == "cuda":
        free, all_of_it = torch.cuda.mem_get_info(device)
        used.add_metric([], all_of_it - free)
        total.add_metric([], all_of_it)
    yield used
    yield total
