"""The room put together for one server: read it first."""

from __future__ import annotations

from starlette.applications import Starlette

from skipseg.service.keys.audit import AuditLog
from skipseg.service.keys.gate import Gate
from skipseg.service.keys.guard import OPEN, Guard
from skipseg.service.keys.issuer import Issuer
from skipseg.service.keys.limits import CallerLimits
from skipseg.service.keys.oidc import Tokens
from skipseg.service.keys.store import KeyStore
from skipseg.service.page_files import page_files
from skipseg.service.running.listener import is_loopback
from skipseg.service.settings import Settings


def guard(app: Starlette, settings: Settings) -> None:
    """Have every request of an app pass the guard.

    Raises ``KeysUnreadable``, and ``OSError`` when no audit log can be kept.
    """
    store = KeyStore(settings.data)
    store.keys()  # a file that cannot be read is said now, and not to the first who asks
    audit = AuditLog(settings.data)
    audit.open_for_good()
    app.add_middleware(
        Guard,
        gate=Gate(store, _tokens(settings), is_loopback(settings.host)),
        limits=CallerLimits(settings.requests_per_minute, settings.concurrent_requests),
        audit=audit,
        opened=OPEN | set(page_files()) | ({"/metrics"} if settings.open_metrics else set()),
        origins=settings.cors_origins,
    )


def _tokens(settings: Settings) -> Tokens | None:
    if not settings.oidc_issuer:
        return None
    issuer = Issuer(settings.oidc_issuer)
    return Tokens(issuer, settings.oidc_audience, settings.oidc_claim, settings.oidc_scopes)
