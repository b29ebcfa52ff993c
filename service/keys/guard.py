"""Before every request: who asks, may they ask so often, and is it written down. No body is read for that."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext
from urllib.parse import urlsplit

import anyio
from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skipseg.models.errors import SkipsegError
from skipseg.service.keys.audit import AuditLog
from skipseg.service.keys.entries import Entries
from skipseg.service.keys.gate import Gate
from skipseg.service.keys.limits import CallerLimits
from skipseg.service.keys.scopes import ANONYMOUS, VISITOR, Caller
from skipseg.service.observing.record import record_of
from skipseg.service.problems import told
from skipseg.service.refusals import Forbidden

OPEN = frozenset({"/healthz", "/readyz", "/docs", "/openapi.json"})
READING = ("GET", "HEAD", "OPTIONS")


class Guard:
    """ASGI middleware: lets callers in, and nobody else; a path is closed unless it is one of the ``opened``.

    ``origins`` are those whose pages may use the server while it asks for no key.
    """

    def __init__(
        self,
        app: ASGIApp,
        gate: Gate,
        limits: CallerLimits,
        audit: AuditLog,
        opened: Collection[str] = OPEN,
        origins: Collection[str] = (),
    ) -> None:
        self.app = app
        self._gate, self._limits, self._entries = gate, limits, Entries(audit)
        self._opened, self._origins = opened, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        answer = _Audited(scope, send, self._entries)
        try:
            await self._answer(scope, receive, answer.send)
        finally:
            await answer.end()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            caller = await self._caller(scope)
            slot = nullcontext() if caller is VISITOR else self._limits.slot(caller.id)
        except SkipsegError as refusal:
            return await told(Request(scope), refusal)(scope, receive, send)
        with slot:
            await self.app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller:
        """Who asks, noted for the routes and for the audit log."""
        headers = Headers(scope=scope)
        reading = scope["method"] in READING
        is_open = reading and scope["path"] in self._opened
        caller = VISITOR if is_open else await self._gate.admit(headers.getlist("authorization"))
        if caller is ANONYMOUS and not reading:
            self._refuse_other_sites(headers)
        scope["state"]["caller"] = caller
        record_of(scope).caller = caller.id
        return caller

    def _refuse_other_sites(self, headers: Headers) -> None:
        """Any web page can have a browser post to loopback; browsers then name the page's origin."""
        origin = headers.get("origin")
        if origin is None or origin in self._origins or urlsplit(origin).netloc == headers.get("host"):
            return
        raise Forbidden(
            "pages of other sites may change nothing here; make a key for them (skipseg keys create), or name their "
            "origin in SKIPSEG_CORS_ORIGINS"
        )


class _Audited:
    """Passes messages on; before the first of an answer that has to be written down, it is."""

    def __init__(self, scope: Scope, send: Send, entries: Entries) -> None:
        self._scope, self._send, self._entries = scope, send, entries
        self._answered = self._written = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._write(message["status"])
        await self._send(message)

    async def end(self) -> None:
        """Write down what was never answered, an error of ours; and have lines outlive the machine."""
        with anyio.CancelScope(shield=True):
            if not self._answered:
                await self._write(500)
        if self._written:  # beside what comes next: the answer has gone out, and its line is in the file already
            self._entries.sync_soon()

    async def _write(self, status: int) -> None:
        self._answered = True
        if status in (401, 403) or self._scope["method"] not in READING:
            self._written = await run_sync(self._entries.add, self._scope, status) or self._written
