"""The server: requests in, masks out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI

from skipseg import __version__
from skipseg.service import problems
from skipseg.service.bounds import BodyBound
from skipseg.service.hosts import TrustedHosts
from skipseg.service.observe import Observe
from skipseg.service.routes import health, models, pages, registry, segmentations, uploads
from skipseg.service.schemas import Problem
from skipseg.service.settings import Settings
from skipseg.service.state import Server, open_server

DESCRIPTION = "Segments biomedical scans; every mask lies on its scan's own grid. Not a medical device."


class App(FastAPI):
    """FastAPI, and the schema of problems, which no route answers with and so none brings into the document."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return document


def create_app(settings: Settings) -> FastAPI:
    """The ASGI app; models begin to load when it starts up. Raises ``UsageError`` for a device that is not there."""
    server = open_server(settings)
    app = App(
        title="skipseg",
        version=__version__,
        description=DESCRIPTION,
        lifespan=_lifespan(server),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.server = server
    for routes in (health, models, registry, segmentations, uploads, pages):
        app.include_router(routes.router)
    problems.register(app)
    larger = {"/v1/uploads": settings.max_archive_bytes, "/v1/models": settings.max_model_bytes}
    app.add_middleware(BodyBound, most=settings.max_upload_bytes, larger=larger)
    app.add_middleware(TrustedHosts, chosen=settings.host)
    app.add_middleware(Observe, metrics=server.metrics)  # added last, so it is outermost
    return app


def _lifespan(server: Server) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        server.models.start()
        yield
        server.engine.close()

    return lifespan
