"""What a server holds, handed to its routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from fastapi import Depends, Request

from skipseg.models.device_memory import free_bytes
from skipseg.models.inference.engine import Engine
from skipseg.models.precision import choose_device
from skipseg.models.registry import Registry
from skipseg.service.bundles.exporting import Exporter
from skipseg.service.datasets.store import DatasetStore
from skipseg.service.jobs.jobs import Jobs
from skipseg.service.jobs.sweep import Sweeper
from skipseg.service.observing.metrics import Metrics
from skipseg.service.observing.readings import ServerReadings
from skipseg.service.resident.loaded import LoadedModels
from skipseg.service.retraining.preparing import Stores
from skipseg.service.segmentation import Segmenter
from skipseg.service.settings import Settings
from skipseg.service.store.uploads import UploadStore
from skipseg.service.waiting.line import Line
from skipseg.service.waiting.room import Room


@dataclass(frozen=True)
class Server:
    """Everything that lives as long as the app."""

    settings: Settings
    registry: Registry
    engine: Engine
    line: Line
    models: LoadedModels
    segmenter: Segmenter
    metrics: Metrics
    uploads: UploadStore
    jobs: Jobs
    sweeper: Sweeper
    datasets: DatasetStore
    exporter: Exporter


def open_server(settings: Settings) -> Server:
    """Put a server together; nothing is loaded yet.

    Raises ``UsageError`` for a device that is not there, ``OSError`` for a data folder that cannot be read.
    """
    registry = Registry(settings.registry)
    registry.models()  # a folder that cannot be read is said now, by the command, and not by a thread of a server
    device = choose_device(settings.device)
    engine = Engine()
    line = Line(settings.queue_size, engine.seconds_left)
    model_memory = settings.model_memory or free_bytes(device) // 2
    models = LoadedModels(registry, device, settings.precision, model_memory, engine, settings.queue_size)
    room = Room(settings.scan_memory or _half_of_what_is_free(device))
    segmenter = Segmenter(engine, line, room, settings.threads, settings.limits)
    metrics = Metrics(ServerReadings(engine, line, room, models, device))
    uploads, datasets = UploadStore(settings.uploads), DatasetStore(settings.datasets)
    jobs = Jobs(settings, Stores(datasets, registry), uploads)
    metrics.job_counts, metrics.delivery_counts = jobs.by_state, jobs.deliveries_by_state
    return Server(
        settings=settings,
        registry=registry,
        engine=engine,
        line=line,
        models=models,
        segmenter=segmenter,
        metrics=metrics,
        uploads=uploads,
        datasets=datasets,
        exporter=Exporter(settings.registry),
        jobs=jobs,
        sweeper=Sweeper(jobs, settings),
    )


def _half_of_what_is_free(device: torch.device) -> int:
    """Of the processor's memory, and of a GPU's where that is less."""
    of_the_processor = free_bytes(torch.device("cpu"))  # which is half already
    return min(of_the_processor, free_bytes(device) // 2) if device.type == "cuda" else of_the_processor


# async, as all that only reads the request: FastAPI would hand the rest to a thread
async def _server(request: Request) -> Server:
    server = request.app.state.server
    assert isinstance(server, Server)
    return server


ServerDep = Annotated[Server, Depends(_server)]
