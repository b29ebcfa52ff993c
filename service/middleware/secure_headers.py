"""Headers that tell browsers to be careful, on every answer; and whose pages may read them."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",  # masks and what is told of them stay in no cache
}
ASKED = ("Accept", "Authorization", "Content-Type", "X-Request-Id")
TOLD = (
    "Content-Disposition",
    "Location",
    "Retry-After",
    "Server-Timing",
    "WWW-Authenticate",
    "X-Request-Id",
    "X-Skipseg-Backend",
    "X-Skipseg-Model",
    "X-Skipseg-Notes",
    "X-Skipseg-Series",
)


class SecureHeaders:
    """ASGI middleware; a route that needs another value sets it itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def allow_origins(app: Starlette, origins: Sequence[str]) -> None:
    """Let pages of these origins use the server, with a key that they send themselves; no cookie is ever taken."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=list(ASKED),
            expose_headers=list(TOLD),
        )
