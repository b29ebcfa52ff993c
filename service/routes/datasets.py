"""Datasets for retraining: sent as a zip or case by case, and never changed without a trace."""

from __future__ import annotations

from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Path, Query, Request, Response

from skipseg.models.memory import memory_permitting
from skipseg.models.scans.archives import ArchiveLimits
from skipseg.service.datasets.contents import CASE_NAME, CaseFiles, Contents
from skipseg.service.datasets.parts import IMAGE, LABEL, read_case_form, written
from skipseg.service.datasets.schemas import CaseAnswer, DatasetDetails, DatasetSummary, Freeze, NewDataset
from skipseg.service.datasets.store import DatasetStore
from skipseg.service.datasets.thumbnail import thumbnail
from skipseg.service.disconnect import unless_gone
from skipseg.service.keys.access import caller_of, needs
from skipseg.service.problems import documented
from skipseg.service.state import Server, ServerDep
from skipseg.training.datasets.check import check_dataset
from skipseg.training.datasets.description import Description

router = APIRouter(prefix="/v1", tags=["datasets"], dependencies=[needs("train")])

CaseInPath = Annotated[str, Path(pattern=f"^{CASE_NAME.pattern}$", description="1 to 64 letters, digits, - and _")]
Check = Annotated[
    bool, Query(description="read every file and list the defects; of a large dataset this takes minutes")
]
PNG: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "PNG of at most 256 by 256 pixels",
        "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
    }
}
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [LABEL],
                    "properties": {
                        IMAGE: {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "one part a channel, in order; none: the case keeps the image it has",
                        },
                        LABEL: {"type": "string", "format": "binary", "description": "its truth, on the same grid"},
                    },
                }
            }
        },
    }
}


def who(request: Request) -> str:
    """Whom the trail names: the id of the request's key, when it has one."""
    return caller_of(request.scope).id


@router.post(
    "/datasets",
    status_code=201,
    summary="Make a dataset of an uploaded zip, or an empty one",
    responses=documented(400, 404, 409, 413, 422),
)
async def create_dataset(request: Request, new: NewDataset, server: ServerDep, response: Response) -> DatasetDetails:
    def made() -> DatasetDetails:
        return _details(server.datasets, _made(new, server, who(request)))

    details = await to_thread.run_sync(made, limiter=_one_at_a_time(request))
    response.headers["Location"] = f"/v1/datasets/{details.name}"
    return details


@router.get("/datasets", summary="The datasets of this server")
def list_datasets(server: ServerDep) -> list[DatasetSummary]:
    return [DatasetSummary.of(contents) for contents in server.datasets.all()]


@router.get("/datasets/{name}", summary="One dataset: cases, labels, defects, trail", responses=documented(404, 422))
def show_dataset(name: str, server: ServerDep, check: Check = False) -> DatasetDetails:
    return _details(server.datasets, server.datasets.get(name), check)


@router.get(
    "/datasets/{name}/cases/{case}/thumbnail",
    summary="A small picture of a case: one slice, with its labels painted over",
    response_class=Response,
    responses={**PNG, **documented(404, 413, 422)},
)
async def case_thumbnail(request: Request, name: str, case: CaseInPath, server: ServerDep) -> Response:
    """Drawn when it is asked for first, and kept until the case is deleted."""

    def drawn() -> bytes:
        with memory_permitting():
            return thumbnail(server.datasets, name, case)

    async def seen() -> bytes:
        return await to_thread.run_sync(drawn, limiter=_one_at_a_time(request))

    return Response(await unless_gone(request, seen), media_type="image/png")


@router.put(
    "/datasets/{name}/cases/{case}",
    summary="Add a case, or replace it: a corrected mask sent back becomes its label",
    responses={
        201: {"description": "The case is new", "model": CaseAnswer},
        **documented(400, 404, 409, 413, 415, 422),
    },
    openapi_extra=BODY,
)
async def put_case(request: Request, name: str, case: CaseInPath, server: ServerDep, response: Response) -> CaseAnswer:
    store, limits = server.datasets, server.settings.limits
    store.get(name)  # refused before the upload is read
    form = await read_case_form(request, limits.channels)

    def kept() -> tuple[CaseFiles, bool]:
        with store.draft() as draft:
            sent = written(form, draft)
            return store.put_case(name, case, sent.images, sent.label, who(request), limits)

    try:
        files, is_new = await to_thread.run_sync(kept, limiter=_one_at_a_time(request))
    finally:
        await form.close()
    response.status_code = 201 if is_new else 200
    return CaseAnswer.of(case, files, store.get(name))


@router.delete(
    "/datasets/{name}/cases/{case}",
    status_code=204,
    summary="Delete a case with its files; the trail keeps their checksums",
    responses=documented(404, 409, 422),
)
def delete_case(request: Request, name: str, case: CaseInPath, server: ServerDep) -> None:
    server.datasets.remove_case(name, case, who(request))


@router.post(
    "/datasets/{name}/freeze",
    summary="Choose anew which cases models are validated on, and never learn from",
    responses=documented(404, 422),
)
def freeze_dataset(request: Request, name: str, server: ServerDep, wanted: Freeze | None = None) -> DatasetDetails:
    cases = wanted.cases if wanted else None
    return _details(server.datasets, server.datasets.freeze(name, who(request), cases))


def _made(new: NewDataset, server: Server, by: str) -> Contents:
    if new.upload is not None:
        upload = server.uploads.get(new.upload)
        return server.datasets.add_zip(new.name, server.uploads.content(upload), ArchiveLimits(), by)
    channels = {str(number): channel for number, channel in enumerate(new.channels or ())}
    about = Description.model_validate({"channel_names": channels, "labels": new.labels or {}})
    return server.datasets.create(new.name, about, by)


def _details(store: DatasetStore, contents: Contents, check: bool = False) -> DatasetDetails:
    defects = check_dataset(store.folder(contents.name)) if check else None
    return DatasetDetails.about(contents, store.trail(contents.name), defects)


def _one_at_a_time(request: Request) -> CapacityLimiter:
    """Whole scans are read here, beside those of segmentations: one dataset's file in memory at a time."""
    state = request.app.state
    if not hasattr(state, "dataset_limiter"):
        state.dataset_limiter = CapacityLimiter(1)
    limiter = state.dataset_limiter
    assert isinstance(limiter, CapacityLimiter)
    return limiter
