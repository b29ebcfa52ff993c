"""The socket that a server listens on."""

from __future__ import annotations

import ipaddress
import os
import socket

from skipseg.models.errors import UsageError


def is_loopback(host: str) -> bool:
    """Does nobody but this machine reach any address of ``host``? Raises ``UsageError`` when it has none."""
    try:
        addresses = {found[4][0] for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        raise UsageError(f"--host must be an address of this machine, such as 127.0.0.1; {host!r} has none") from None
    return all(ipaddress.ip_address(str(address).partition("%")[0]).is_loopback for address in addresses)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises ``UsageError`` when the port is taken or not allowed."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UsageError(f"cannot listen on {host} port {port}: {reason}; choose another with --port") from None
    # Connections inherit this. Without it the body of an answer waits 40 ms for the client to acknowledge its headers
    # (Nagle against delayed acknowledgements): asyncio sets it only on sockets that say which protocol they speak.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def url_of(listener: socket.socket) -> str:
    """``http://127.0.0.1:8000``."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
