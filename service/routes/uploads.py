"""Files for later calls: a scan, a zip of scans, a zip of a dataset."""

from __future__ import annotations

from datetime import datetime

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from skipseg.service.keys.access import needs
from skipseg.service.middleware.disk import disk_permitting
from skipseg.service.problems import documented
from skipseg.service.receiving import PART, receive_file
from skipseg.service.schemas import Answered
from skipseg.service.state import ServerDep
from skipseg.service.store.uploads import CONTENT, Upload, UploadKind

router = APIRouter(prefix="/v1", tags=["uploads"], dependencies=[needs("segment", "train")])

BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [PART],
                    "properties": {PART: {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


class UploadAnswer(Answered):
    """An upload that is kept until it expires."""

    id: str
    kind: UploadKind
    bytes: int
    sha256: str
    made: datetime

    @classmethod
    def of(cls, upload: Upload) -> UploadAnswer:
        return cls(**upload.model_dump(exclude={"name"}))


@router.post(
    "/uploads",
    status_code=201,
    summary="Keep a scan, a zip of scans or a zip of a dataset for later calls",
    responses=documented(400, 413, 422, 503),
    openapi_extra=BODY,
)
async def upload(request: Request, server: ServerDep, response: Response) -> UploadAnswer:
    with disk_permitting():
        draft = await to_thread.run_sync(server.uploads.draft)
        try:
            received = await receive_file(request, draft / CONTENT)
            kept = await to_thread.run_sync(server.uploads.keep, draft, received.name, received.sha256)
        except BaseException:
            server.uploads.drop(draft)
            raise
    response.headers["Location"] = f"/v1/uploads/{kept.id}"
    return UploadAnswer.of(kept)


@router.get("/uploads/{id}", summary="What an upload is", responses=documented(404, 422))
def show_upload(id: str, server: ServerDep) -> UploadAnswer:
    return UploadAnswer.of(server.uploads.get(id))


@router.delete("/uploads/{id}", status_code=204, summary="Delete an upload", responses=documented(404, 422))
def delete_upload(id: str, server: ServerDep) -> None:
    server.uploads.remove(server.uploads.get(id))
