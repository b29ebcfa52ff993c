"""Pages for people: the page at ``/`` with its files, and the documentation of the API."""

from __future__ import annotations

import gzip
import re

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from skipseg.service.docs_page import CONTENT_POLICY, render
from skipseg.service.page_files import ENTRY, page_files

router = APIRouter(include_in_schema=False)

TAKES_GZIP = re.compile(r"(?:^|,)\s*(?:gzip|\*)\s*(?:$|,|;\s*q=(?!0(?:\.0*)?\s*(?:,|$)))", re.IGNORECASE)


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    return HTMLResponse(render(request.app.openapi()), headers={"Content-Security-Policy": CONTENT_POLICY})


@router.api_route(ENTRY, methods=["GET", "HEAD"])
@router.api_route("/page/{path:path}", methods=["GET", "HEAD"])
async def page(request: Request) -> Response:
    """A file of the page: 304 to who has it already, packed for who unpacks."""
    file = page_files().get(request.scope["path"])
    if file is None:
        raise HTTPException(404)
    is_packed = TAKES_GZIP.search(request.headers.get("Accept-Encoding", "")) is not None
    headers = file.headers(is_packed)
    if headers["ETag"] in request.headers.get("If-None-Match", ""):
        return Response(status_code=304, headers=headers)
    return Response(file.packed if is_packed else gzip.decompress(file.packed), 200, headers, file.media_type)
