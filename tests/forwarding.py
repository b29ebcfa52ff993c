"""Connections passed on: from a port or a socket in the file system to another, whatever goes over them."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from contextlib import suppress

Opened = Callable[[], Awaitable[tuple[StreamReader, StreamWriter]]]


def forwarder(to: Opened) -> Callable[[StreamReader, StreamWriter], Awaitable[None]]:
    """For ``asyncio.start_server`` and ``start_unix_server``: whoever connects is connected with ``to``."""

    async def forward(reader: StreamReader, writer: StreamWriter) -> None:
        try:
            there = await to()
        except OSError:
            writer.transport.abort()  # as if nobody listened
            return
        with suppress(asyncio.CancelledError):  # whoever forwards ends
            await asyncio.gather(_pass_on(reader, there[1]), _pass_on(there[0], writer))

    return forward


async def _pass_on(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(OSError):
        while block := await reader.read(2**16):
            writer.write(block)
            await writer.drain()
    writer.close()
