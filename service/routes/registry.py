"""Changes to the registry: versions come, become live, go back, go out and go."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Body, Query, Request, Response
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from skipseg.models.exports.formats import ExportFormat
from skipseg.models.labels import Label
from skipseg.models.registry import NAME, ModelVersion
from skipseg.service.bundles.registering import register
from skipseg.service.keys.access import needs
from skipseg.service.problems import documented
from skipseg.service.receiving import PART
from skipseg.service.routes.models import expected_input
from skipseg.service.schemas import Answered, ExpectedInput
from skipseg.service.state import Server, ServerDep

router = APIRouter(prefix="/v1/models", tags=["models"], dependencies=[needs("admin")])

Number = Annotated[int, InPath(ge=1, le=10**9, description="of the version")]
NewName = Annotated[
    str | None, Query(pattern=f"^{NAME.pattern}$", description="under which it is added; default: the bundle's own")
]
Format = Annotated[ExportFormat, Query(description="a zip of one folder in this format")]

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [PART],
                    "properties": {
                        PART: {
                            "type": "string",
                            "format": "binary",
                            "description": "a zip of a bundle: `bundle.json` and `weights.safetensors` at its root or "
                            "in one folder",
                        }
                    },
                }
            }
        },
    }
}
BYTES = {"schema": {"type": "string", "format": "binary"}}
ZIP: dict[int | str, dict[str, Any]] = {200: {"description": "The zip", "content": {"application/zip": BYTES}}}


class VersionDetails(Answered):
    """One version of a model: what goes in, what comes out, how it came about, how good it is."""

    name: str
    version: int
    live: bool
    task: str
    licence: str
    input: ExpectedInput
    labels: tuple[Label, ...]
    metrics: dict[str, float | None]
    weights_sha256: str
    dataset: str  # it was trained on
    cases: int  # of that it learned from
    finished: datetime

    @classmethod
    def of(cls, version: ModelVersion, server: Server) -> VersionDetails:
        """Raises ``BundleError`` when it is damaged."""
        manifest = version.open().manifest
        return cls(
            name=version.name,
            version=version.version,
            live=server.registry.model(version.name).live == version.version,
            input=expected_input(manifest.plan),
            labels=manifest.labels.all,
            dataset=manifest.training.dataset,
            cases=len(manifest.training.cases),
            finished=manifest.training.finished,
            **{name: getattr(manifest, name) for name in ("task", "licence", "metrics", "weights_sha256")},
        )


class LiveVersion(Answered):
    """What answers to the bare name from now on."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"name": "hippocampus", "live": 2}]})

    name: str
    live: int


class Promotion(BaseModel):
    """The version that is to be live."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [{"version": 2}]})

    version: int = Field(ge=1, le=10**9)


class Rollback(BaseModel):
    """The version that is to be left: where another one is live, nothing is done."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [{"leaving": 2}]})

    leaving: int = Field(ge=1, le=10**9)


@router.post(
    "",
    status_code=201,
    summary="Add a bundle as the next version of its name",
    description="The first version of a name is live at once; later ones wait to be promoted.",
    responses=documented(400, 403, 409, 413, 422, 503),
    openapi_extra=BODY,
)
async def add_version(request: Request, server: ServerDep, response: Response, name: NewName = None) -> VersionDetails:
    added = await register(request, server.registry, name, server.settings.max_model_bytes)
    response.headers["Location"] = f"/v1/models/{added.name}/versions/{added.version}"
    return await to_thread.run_sync(VersionDetails.of, added, server)


@router.get("/{name}/versions/{version}", summary="One version of a model", responses=documented(404, 422))
def show_version(name: str, version: Number, server: ServerDep) -> VersionDetails:
    return VersionDetails.of(server.registry.resolve(f"{name}@{version}"), server)


@router.delete(
    "/{name}/versions/{version}",
    status_code=204,
    summary="Delete a version that is not live",
    description="Its number is not given out again. Requests that it answers just now are answered.",
    responses=documented(403, 404, 409, 422),
)
def remove_version(name: str, version: Number, server: ServerDep) -> None:
    server.registry.remove(name, version)
    server.models.loader.let_go(f"{name}@{version}")


@router.post(
    "/{name}/promote",
    summary="Make a version the live one",
    description="It is verified, loaded and warm before; then it answers from the next request on. Asking twice "
    "changes nothing more.",
    responses=documented(403, 404, 409, 422, 429, 503),
)
async def promote(name: str, wanted: Promotion, server: ServerDep) -> LiveVersion:
    version = await to_thread.run_sync(server.registry.resolve, f"{name}@{wanted.version}")
    await to_thread.run_sync(version.open)
    async with server.models.warmed(name, version.version):
        promoted = await to_thread.run_sync(server.registry.promote, name, version.version)
    return LiveVersion(name=name, live=promoted.version)


@router.post(
    "/{name}/rollback",
    summary="Make the version live that was live before",
    description="With `leaving` only if that one is live, so that an answer that got lost can be asked for again.",
    responses=documented(403, 404, 409, 422, 429, 503),
)
async def rollback(name: str, server: ServerDep, from_where: Annotated[Rollback | None, Body()] = None) -> LiveVersion:
    live = (await to_thread.run_sync(server.registry.model, name)).live
    leaving = from_where.leaving if from_where else live  # nobody's promotion in between is undone
    before = await to_thread.run_sync(server.registry.before, name)
    async with server.models.warmed(name, before):
        return LiveVersion(name=name, live=await to_thread.run_sync(server.registry.rollback, name, leaving))


@router.get(
    "/{name}/versions/{version}/export",
    summary="A version as others read it",
    response_class=FileResponse,
    responses={**ZIP, **documented(404, 422, 503)},
)
async def export_version(name: str, version: Number, server: ServerDep, format: Format) -> FileResponse:
    found = await to_thread.run_sync(server.registry.resolve, f"{name}@{version}")
    path = await server.exporter.zip(found, format)
    return FileResponse(
        path,
        media_type="application/zip",
        filename=f"{name}-{version}-{format}.zip",
        background=BackgroundTask(partial(server.exporter.drop, path)),
    )
