"""What a server holds, handed to its routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from skipseg.models.registry import Registry
from skipseg.service.device import Device
from skipseg.service.loaded import LoadedModels
from skipseg.service.metrics import Metrics
from skipseg.service.segmentation import Segmenter
from skipseg.service.settings import Settings


@dataclass(frozen=True)
class Server:
    """Everything that lives as long as the app."""

    settings: Settings
    registry: Registry
    device: Device
    models: LoadedModels
    segmenter: Segmenter
    metrics: Metrics


def open_server(settings: Settings) -> Server:
    """Put a server together; nothing is loaded yet.

    Raises ``UsageError`` for a device that is not there, ``OSError`` for a data folder that cannot be read.
    """
    registry = Registry(settings.registry)
    registry.models()  # a folder that cannot be read is said now, by the command, and not by a thread of a server
    device = Device(settings.queue_size)
    models = LoadedModels(registry, device, settings.device)
    segmenter = Segmenter(device, settings.threads, settings.limits)
    metrics = Metrics(waiting=lambda: device.taken, loaded=lambda: len(models.ready))
    return Server(settings, registry, device, models, segmenter, metrics)


def _server(request: Request) -> Server:
    server = request.app.state.server
    assert isinstance(server, Server)
    return server


ServerDep = Annotated[Server, Depends(_server)]
