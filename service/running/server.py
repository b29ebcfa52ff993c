"""The app behind a socket, run by uvicorn."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

import uvicorn

from skipseg import __version__
from skipseg.service.app import create_app
from skipseg.service.keys.binding import refuse_unguarded
from skipseg.service.observing import logs
from skipseg.service.running.listener import listen, url_of
from skipseg.service.running.protocol import Protocol
from skipseg.service.settings import Settings

GRACE_S = 30  # for requests under way when the server is told to end


def serve(settings: Settings) -> None:
    """Listen and answer until interrupted; raises ``UsageError`` for an address that cannot be had.

    Raises ``KeysUnreadable`` as well, and ``OSError`` for a data folder that cannot be used.
    """
    refuse_unguarded(settings)
    app = create_app(settings)
    with listen(settings.host, settings.port) as listener, suppress(KeyboardInterrupt):  # Ctrl-C is how a server ends
        logs.configure(settings.log_level)
        logs.announce("listening", {"url": url_of(listener), "version": __version__})
        config = uvicorn.Config(
            app,
            http=Protocol,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        uvicorn.Server(config).run(sockets=[listener])
    _end_without_threads()


def _end_without_threads() -> None:
    """Python would wait for a thread in the middle of a scan; nobody else does any more, and it cannot be stopped."""
    others = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    if any(thread.is_alive() and not thread.daemon for thread in others):
        sys.stdout.flush()
        os._exit(0)
