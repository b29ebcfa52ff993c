"""Alive, able to serve, and how it goes."""

from __future__ import annotations

from fastapi import APIRouter, Response

from skipseg.service.keys.access import needs
from skipseg.service.observing.metrics import CONTENT_TYPE
from skipseg.service.problems import documented
from skipseg.service.schemas import FailedModel, Health, Readiness
from skipseg.service.state import ServerDep

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> Health:
    return Health()


@router.get("/readyz", summary="Can it segment? 503 until a model is loaded and warm", responses=documented(503))
async def readyz(server: ServerDep) -> Readiness:
    server.models.check_ready()
    failed = tuple(FailedModel(name=name, reason=reason) for name, reason in server.models.failed.items())
    return Readiness(models=server.models.references(), failed=failed)


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"example": "skipseg_queue_length 0.0"}}}},
    dependencies=[needs("read")],
)
def metrics(server: ServerDep) -> Response:
    return Response(server.metrics.text(), media_type=CONTENT_TYPE)
