"""Ports that stay free while nobody listens on them."""

import secrets
import socket
from contextlib import suppress

LENT_BY_NOBODY = range(20_000, 32_768)  # below those that Linux lends to connections, and to who asks for port 0


def port_to_keep() -> int:
    """A free port of 127.0.0.1 on which somebody may listen, stop, and listen again."""
    while True:
        port = secrets.choice(LENT_BY_NOBODY)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
