"""The server: requests in, masks out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI

from skipseg import __version__
from skipseg.service import problems
from skipseg.service.examples import with_examples
from skipseg.service.keys.access import declare_refusals
from skipseg.service.keys.audit import AuditLog
from skipseg.service.keys.entries import kept
from skipseg.service.keys.opening import guard
from skipseg.service.middleware.bounds import BodyBound
from skipseg.service.middleware.disk import DiskBound
from skipseg.service.middleware.hosts import TrustedHosts
from skipseg.service.middleware.secure_headers import SecureHeaders, allow_origins
from skipseg.service.observing.observe import Observe
from skipseg.service.observing.traces import FASTAPIS_OWN_OFF, Traces
from skipseg.service.routes import datasets, health, jobs, models, pages, registry, segmentations, uploads, volumes
from skipseg.service.running.listener import is_loopback
from skipseg.service.schemas import Problem
from skipseg.service.settings import Settings
from skipseg.service.state import Server, open_server

DESCRIPTION = "Segments biomedical scans; every mask lies on its scan's own grid. Not a medical device."


class App(FastAPI):
    """FastAPI, and the schema of problems, which no route answers with and so none brings into the document."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        declare_refusals(document)
        _declare_bodies(document)
        return with_examples(document)


def _declare_bodies(document: dict[str, Any]) -> None:
    """What is no JSON at all is answered 400, before its schema is looked at; a form 507, where the disk is short."""
    answers = {"application/json": 400, "multipart/form-data": 507}
    for calls in document["paths"].values():
        for call in calls.values():
            for body in call.get("requestBody", {}).get("content", {}):
                status = answers[body]
                call["responses"] = {str(status): problems.documented(status)[status], **call["responses"]}


def create_app(settings: Settings) -> FastAPI:
    """The ASGI app; models begin to load when it starts up. Raises ``UsageError`` for a device that is not there.

    Raises ``KeysUnreadable``, and ``OSError`` for a data folder that cannot be read or written.
    """
    server, traces = open_server(settings), Traces()
    app = App(
        title="skipseg",
        version=__version__,
        description=DESCRIPTION,
        lifespan=_lifespan(server, traces),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=FASTAPIS_OWN_OFF,
    )
    app.state.server = server
    for routes in (health, models, registry, segmentations, volumes, uploads, jobs, datasets, pages):
        app.include_router(routes.router)
    problems.register(app)
    _surround(app, server, traces)
    return app


def _surround(app: App, server: Server, traces: Traces) -> None:
    """What every request passes, innermost first; nothing of a body is read before the guard has let it in."""
    settings = server.settings
    larger = {"/v1/uploads": settings.max_archive_bytes, "/v1/models": settings.max_model_bytes}
    most = max(settings.max_upload_bytes, *larger.values())
    app.add_middleware(DiskBound, data=settings.data, least=settings.min_free_bytes, most=most)
    app.add_middleware(BodyBound, most=settings.max_upload_bytes, larger=larger)
    guard(app, settings)
    allow_origins(app, settings.cors_origins)
    app.add_middleware(TrustedHosts, chosen=settings.host, named=settings.hosts, loopback=is_loopback(settings.host))
    app.add_middleware(Observe, metrics=server.metrics, traces=traces)  # outside all that refuses: logged and counted
    app.add_middleware(SecureHeaders)  # outside Observe, whose answer to an error of ours has them as well


def _lifespan(server: Server, traces: Traces) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        traces.start()
        _prepare_routes(app)
        server.models.start()
        try:
            yield
            server.engine.close()
            server.sweeper.close()
            server.jobs.close()
            traces.close()
        finally:
            kept(AuditLog(server.settings.data).sync)  # lines of the last moment

    return lifespan


def _prepare_routes(app: FastAPI) -> None:
    """FastAPI makes a route ready when a request is first held against it, which should not be a user's."""
    for route in app.routes:
        route.matches({"type": "http", "method": "GET", "path": "/no/route/has/this/path", "headers": []})
