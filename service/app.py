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
from skipseg.service.routes import health, models, pages, segmentations
from skipseg.service.schemas import Problem
from skipseg.service.settings import Settings
from skipseg.service.state import Server, open_server
from skipseg.service.traces import FASTAPIS_OWN_OFF, Traces

DESCRIPTION = "Segments biomedical scans; every mask lies on its scan's own grid. Not a medical device."


class App(FastAPI):
    """FastAPI, and the schema of problems, which no route answers with and so none brings into the document."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return document


def create_app(settings: Settings) -> FastAPI:
    """The ASGI app; models begin to load when it starts up. Raises ``UsageError`` for a device that is not there."""
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
    for routes in (health, models, segmentations, pages):
        app.include_router(routes.router)
    problems.register(app)
    app.add_middleware(BodyBound, most=settings.max_upload_bytes)
    app.add_middleware(TrustedHosts, chosen=settings.host)
    app.add_middleware(Observe, metrics=server.metrics, traces=traces)  # added last, so it is outermost
    return app


def _lifespan(server: Server, traces: Traces) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        traces.start()
        server.models.start()
        yield
        server.engine.close()
        traces.close()

    return lifespan
