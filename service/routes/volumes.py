"""A scan in, the same scan as NIfTI out: for programs that read no other format, as the page's viewer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from skipseg.models.scans.dicom.choice import SeriesChoice
from skipseg.models.scans.masks import MASK_FORMATS
from skipseg.service.disconnect import unless_gone
from skipseg.service.keys.access import needs
from skipseg.service.observing.record import record_of
from skipseg.service.problems import documented
from skipseg.service.routes.segmentations import BODY, choice_of
from skipseg.service.state import ServerDep
from skipseg.service.uploads import uploaded_scans

router = APIRouter(prefix="/v1", tags=["segmentations"], dependencies=[needs("segment")])

MEDIA_TYPE = MASK_FORMATS["nifti"].media_type
VOLUME: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The scan on its own grid, a channel a step of the fourth axis",
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "/volumes",
    summary="The scan as NIfTI, as the server reads it",
    response_class=Response,
    responses={**VOLUME, **documented(400, 413, 415, 422, 429, 507)},
    openapi_extra=BODY,
)
async def volume(request: Request, server: ServerDep, choice: Annotated[SeriesChoice, Depends(choice_of)]) -> Response:
    """Nothing of it is kept."""
    record = record_of(request.scope)
    server.line.check_room()
    async with uploaded_scans(request, server.settings.limits) as scans:

        async def rewritten() -> Response:
            content = await server.segmenter.rewrite(scans, record, choice)
            headers = {
                "Server-Timing": record.stages.header(),
                "Content-Disposition": 'attachment; filename="scan.nii.gz"',
            }
            return Response(content, media_type=MEDIA_TYPE, headers=headers)

        return await unless_gone(request, rewritten)
