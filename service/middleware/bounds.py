"""The bound on a request body, kept while it comes in: Starlette has none of its own.

A body that is announced too long is refused before a byte of it is read, one that grows too long as soon as it does.
The answer goes out at once; what the client still sends is then read and dropped for a moment, because a socket that
is closed on unread bytes is reset, and the client would see a broken connection in place of the answer.
"""

from __future__ import annotations

from collections.abc import Mapping

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skipseg.models.errors import ScanTooLarge

LINGER_S = 5.0


class BodyBound:
    """ASGI middleware; reading a longer body than ``most`` bytes raises ``ScanTooLarge`` where it is read.

    ``larger`` gives the bounds of paths that take larger bodies.
    """

    def __init__(self, app: ASGIApp, most: int, larger: Mapping[str, int] | None = None) -> None:
        self.app, self.most, self.larger = app, most, larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        body = _Body(scope, receive, send, self.larger.get(scope["path"], self.most))
        await self.app(scope, body.receive, body.send)


class _Body:
    """One request's body, counted."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        headers = dict(scope["headers"])
        announced = headers.get(b"content-length", b"")
        self.announced = int(announced) if announced.isdigit() else 0
        self.waits_for_permission = headers.get(b"expect", b"").lower() == b"100-continue"
        self.most, self.came, self.refused = most, 0, False
        self._receive, self._send = receive, send

    async def receive(self) -> Message:
        if self.announced > self.most:
            self._refuse(self.announced)
        message = await self._receive()
        self.came += len(message.get("body", b""))
        if self.came > self.most:
            self._refuse(self.came)
        return message

    async def send(self, message: Message) -> None:
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if not (self.refused and last):
            return await self._send(message)
        await self._send({**message, "more_body": True})
        if self.came or not self.waits_for_permission:
            await self._drop_the_rest()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _drop_the_rest(self) -> None:
        with anyio.move_on_after(LINGER_S):
            while (message := await self._receive())["type"] == "http.request" and message.get("more_body", False):
                pass

    def _refuse(self, count: int) -> None:
        self.refused = True
        raise ScanTooLarge(f"a request may have at most {self.most:,} bytes; this one has {count:,} or more")
