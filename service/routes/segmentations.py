"""A scan in, its mask out."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from skipseg.models.inference.wishes import Wishes
from skipseg.models.scans.dicom.choice import GeometryWish, SeriesChoice
from skipseg.models.scans.masks import MASK_FORMATS
from skipseg.models.scans.roi import Roi
from skipseg.service.beside import UNCERTAINTY, Part, as_form, parse_beside
from skipseg.service.disconnect import unless_gone
from skipseg.service.keys.access import needs
from skipseg.service.negotiation import mask_format
from skipseg.service.observing.record import record_of
from skipseg.service.problems import documented
from skipseg.service.segmentation import Wanted, WrittenMask
from skipseg.service.state import ServerDep
from skipseg.service.uploads import PART, uploaded_scans

router = APIRouter(prefix="/v1", tags=["segmentations"], dependencies=[needs("segment")])

ModelName = Annotated[
    str | None,
    Query(max_length=80, description="`name` or `name@version`; may be left out when exactly one model is live"),
]
Format = Annotated[
    str | None,
    Query(
        max_length=32,
        description=f"{', '.join(MASK_FORMATS)}; default: what `Accept` names, else the scan's own",
        json_schema_extra={"examples": [*MASK_FORMATS]},
    ),
]
Tta = Annotated[
    bool, Query(description="show mirrored views as well, along the axes that the model's training mirrored")
]
Overlap = Annotated[
    float | None,
    Query(ge=0, lt=0.95, description="share of a tile that its neighbour covers again; default: the model's"),
]
Beside = Annotated[
    str | None,
    Query(
        max_length=80,
        description="`summary`, `uncertainty`, or both with a comma: the answer is a form of `mask` and these",
        json_schema_extra={"examples": ["summary,uncertainty"]},
    ),
]
RoiText = Annotated[
    str | None,
    Query(
        max_length=80,
        description="`x0:x1,y0:y1,z0:z1`: segment this box alone, in voxels of the scan, `x1` not included",
        json_schema_extra={"examples": ["2:18,:,3:", "10:60,0:40"]},
    ),
]
SeriesUid = Annotated[
    str | None,
    Query(
        max_length=700,
        description="of DICOM: the Series Instance UID that is meant; for several channels one each, with commas",
    ),
]
GeometryName = Annotated[
    GeometryWish,
    Query(description="`resample`: interpolate DICOM slices that lie on no regular grid onto one, not refuse them"),
]


async def choice_of(series: SeriesUid = None, geometry: GeometryName = "strict") -> SeriesChoice:
    """What the query says of which series is read; raises ``UsageError``."""
    return SeriesChoice(series, geometry)


async def wishes_of(tta: Tta = False, overlap: Overlap = None, roi: RoiText = None) -> Wishes:
    """What the query says of how the scan is segmented; raises ``UsageError``."""
    return Wishes(overlap, tta, None if roi is None else Roi.parse(roi))


BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [PART],
                    "properties": {
                        PART: {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                            "description": "the scan; for a model with several channels one part a channel, in "
                            "order; of DICOM one file, or a zip of a series or a study",
                        }
                    },
                }
            }
        },
    }
}


def _content_of(media_type: str) -> dict[str, Any]:
    """Bytes, but for the summary as JSON."""
    return {
        "schema": {"type": "object"} if media_type == "application/json" else {"type": "string", "format": "binary"}
    }


MASK: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The mask, on the scan's own grid",
        "content": {f.media_type: _content_of(f.media_type) for f in MASK_FORMATS.values()}
        | {"multipart/form-data": {"schema": {"type": "object"}}},
    }
}


@router.post(
    "/segmentations",
    summary="Segment one scan",
    response_class=Response,
    responses={**MASK, **documented(400, 404, 406, 409, 413, 415, 422, 429, 503, 507)},
    openapi_extra=BODY,
)
async def segment(
    request: Request,
    server: ServerDep,
    model: ModelName = None,
    format: Format = None,
    beside: Beside = None,
    *,
    wishes: Annotated[Wishes, Depends(wishes_of)],
    choice: Annotated[SeriesChoice, Depends(choice_of)],
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """Everything that can be refused without the scan is refused before the upload is read."""
    wanted = Wanted(mask_format(format, accept), parse_beside(beside))
    wishes = replace(wishes, uncertainty=UNCERTAINTY in wanted.beside)
    record = record_of(request.scope)
    record.model = server.models.pick(model)
    if (plan := server.models.plan(record.model)) is not None:
        wishes.way_for(plan)
    server.line.check_room()

    async def segmented() -> Response:
        asked = perf_counter()
        async with server.models.hold(model) as loaded:
            record.stages.add("queue", perf_counter() - asked)
            record.model = loaded.version.reference
            mask = await server.segmenter.segment(scans, loaded.predictor, wishes, wanted, record, choice)
        return _as_response(mask, record.model, record.stages.header())

    async with uploaded_scans(request, server.settings.limits) as scans:
        return await unless_gone(request, segmented)


def _as_response(mask: WrittenMask, reference: str, timing: str) -> Response:
    headers = {
        "X-Skipseg-Model": reference,
        "X-Skipseg-Backend": mask.backend,
        "Server-Timing": timing,
        "Content-Disposition": f'attachment; filename="mask{mask.suffix}"',
    }
    if mask.series:
        headers["X-Skipseg-Series"] = mask.series
    if mask.notes:
        headers["X-Skipseg-Notes"] = "; ".join(mask.notes)
    if mask.beside:
        content, media_type = as_form([Part("mask", mask.content, mask.media_type, mask.suffix), *mask.beside])
        return Response(content, media_type=media_type, headers={**headers, "Content-Disposition": "inline"})
    return Response(mask.content, media_type=mask.media_type, headers=headers)
