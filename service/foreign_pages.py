"""Pages of other sites may not change anything here in the name of whoever looks at them.

A browser sends a form, files too, to any server without asking that server first; ``Sec-Fetch-Site``, which no page can
set, says where it came from (W3C Fetch Metadata). A key that a page sends itself makes the browser ask first.
"""

from __future__ import annotations

from http import HTTPStatus

from fastapi import HTTPException, Request

HARMLESS = ("GET", "HEAD", "OPTIONS")
OWN = ("same-origin", "none")  # none: the user typed it, or it is no browser's page


def refuse_foreign_pages(request: Request) -> None:
    """A dependency of routes that change something; raises ``HTTPException`` 403."""
    site = request.headers.get("sec-fetch-site", "none")
    if request.method in HARMLESS or site in OWN or "authorization" in request.headers:
        return
    raise HTTPException(
        HTTPStatus.FORBIDDEN, "a page of another site asked for this without a key; ask from the server's own page"
    )
