"""Where a server may listen: without keys, nowhere that others can reach."""

from __future__ import annotations

from skipseg.models.errors import UsageError
from skipseg.service.keys.store import KeyStore
from skipseg.service.running.listener import is_loopback
from skipseg.service.settings import Settings


def refuse_unguarded(settings: Settings) -> None:
    """Raise ``UsageError`` for an address that others reach while there is no valid key and no issuer of tokens.

    Raises ``KeysUnreadable`` as well.
    """
    has_key = KeyStore(settings.data).any_valid()
    if is_loopback(settings.host) or has_key or settings.oidc_issuer:
        return
    raise UsageError(
        f"{settings.host!r} can be reached from other machines, and there are no API keys to keep strangers out; "
        "make one first (skipseg keys create, with the same --data), or listen on 127.0.0.1"
    )
