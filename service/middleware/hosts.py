"""Whom a request is meant for: a server that loopback alone protects must know its own names.

A web page can give a name of its own the address 127.0.0.1 (DNS rebinding); the browser then lets it read what the
server answers. Such a request names the page's host, and is refused. Starlette's own middleware cuts hosts at the
first colon, which no IPv6 address survives, and answers in plain text.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from skipseg.service.problems import problem

OWN = ("localhost", "127.0.0.1", "::1")


class TrustedHosts:
    """ASGI middleware; a request whose ``Host`` is not the ``chosen`` address, ``named``, or loopback gets a 400.

    A server that others reach is protected by keys, which no browser sends by itself, and answers under any name until
    it is told its names.
    """

    def __init__(self, app: ASGIApp, chosen: str, named: Iterable[str] = (), loopback: bool = True) -> None:
        self.app = app
        self.names = {_in_header(name) for name in (*OWN, chosen, *named)}
        self.any = not loopback and not tuple(named)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self.any or self._trusts(scope["headers"]):
            return await self.app(scope, receive, send)
        names = ", ".join(sorted(self.names))
        detail = f"the header Host must be one of {names}, with any port; SKIPSEG_HOSTS adds names"
        title, code = "The request is meant for another host", "host_unknown"
        await problem(Request(scope), 400, title, detail, code)(scope, receive, send)

    def _trusts(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        return len(hosts) == 1 and _without_port(hosts[0]).lower() in self.names


def _in_header(name: str) -> str:
    """An address as the header has it: ``[::1]``, since ports follow colons."""
    return f"[{name}]" if ":" in name else name.lower()


def _without_port(host: str) -> str:
    """``[::1]`` of ``[::1]:8000``, ``localhost`` of ``localhost:8000``."""
    name, _, rest = host.rpartition(":")
    return name if name and (rest.isdigit() or not rest) and not host.endswith("]") else host
