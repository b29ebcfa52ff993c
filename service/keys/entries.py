"""What the audit log has of a request."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from starlette.routing import compile_path
from starlette.types import Scope

from skipseg.service.keys.audit import AuditLog
from skipseg.service.observing.logs import NAME
from skipseg.service.observing.observe import METHODS, UNMATCHED, route_of
from skipseg.service.observing.record import record_of

log = logging.getLogger(NAME)

MOST_REFUSALS = 60  # lines a minute of refused authentications: a stranger must not be able to fill the disk
SYNC_S = 0.5  # one sync does for the lines of so long
OURS = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
TARGETS = ("name", "version", "n", "id")  # parts of paths that are names of ours; a case may be called like a patient


class Entries:
    """Writes lines; of refusals without a caller only so many a minute, and how many there were beside.

    What was answered stays answered when a line cannot be kept; the other log says so.
    """

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._lock = threading.Lock()
        self._minute, self._refused, self._unwritten = 0, 0, 0
        self._syncing = False

    def add(self, scope: Scope, status: int) -> bool:
        """Write the line of one request; False when there is none."""
        with self._lock:
            record = record_of(scope)
            if record.caller is None and not self._may_write_refusal():
                self._unwritten += 1
                return False
            fields = {
                "caller": record.caller,
                "action": _action(scope),
                "target": record.target or record.model or _target(scope, status),
                "status": status,
                "code": record.code,
                "request_id": record.id,
                "refusals_not_written": self._unwritten or None,
            }
            line = {name: value for name, value in fields.items() if value is not None}
            written = kept(lambda: self._audit.append(line))
            self._unwritten = 0 if written else self._unwritten
            return written

    def sync_soon(self) -> None:
        """Have lines outlive the machine, those of ``SYNC_S`` together; on the event loop alone."""
        if not self._syncing:
            self._syncing = True
            asyncio.get_running_loop().call_later(SYNC_S, self._sync)

    def _sync(self) -> None:
        self._syncing = False
        asyncio.get_running_loop().run_in_executor(None, kept, self._audit.sync)

    def _may_write_refusal(self) -> bool:
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._refused = minute, 0
        self._refused += 1
        return self._refused <= MOST_REFUSALS


def kept(work: Callable[[], None]) -> bool:
    """Whether the disk took what ``work`` gives it; the log says so where it did not."""
    try:
        work()
    except OSError as error:
        log.error("audit not kept", extra={"fields": {"reason": type(error).__name__}})
        return False
    return True


def _action(scope: Scope) -> str:
    """Method and template of the route, which is looked up for those who were refused on the way to it."""
    method = scope["method"] if scope["method"] in METHODS else "OTHER"
    route = route_of(scope) if "route" in scope else _route_meant(scope)
    return f"{method} {route}"


def _route_meant(scope: Scope) -> str:
    templates = scope["app"].openapi()["paths"]
    return next((one for one in templates if compile_path(one)[0].match(scope["path"])), UNMATCHED)


def _target(scope: Scope, status: int) -> str | None:
    """What the path names, as far as it is ours: only of what was found here, since a path can hold anything."""
    found: dict[str, Any] = scope.get("path_params", {}) if status < 400 else {}
    named = [str(found[part]) for part in TARGETS if part in found]
    return "@".join(part for part in named if OURS.fullmatch(part)) or None
