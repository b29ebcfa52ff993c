"""A client that leaves: what it asked for is dropped as far as it has not begun."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from anyio import CancelScope
from fastapi import Request
from starlette.requests import ClientDisconnect

Result = TypeVar("Result")


async def unless_gone(request: Request, work: Callable[[], Awaitable[Result]]) -> Result:
    """Await ``work()``; a client that disconnects meanwhile cancels it. The body must have been read.

    Raises ``ClientDisconnect``.
    """
    with CancelScope() as scope:
        watching = asyncio.create_task(_watch(request, scope))
        try:
            return await work()
        finally:
            watching.cancel()
    raise ClientDisconnect


async def _watch(request: Request, scope: CancelScope) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
