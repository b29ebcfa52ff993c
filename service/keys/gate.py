"""Who is it? From the header ``Authorization`` to a caller."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from anyio.to_thread import run_sync

from skipseg.service.keys.key import Key, id_in
from skipseg.service.keys.oidc import Tokens
from skipseg.service.keys.scopes import ANONYMOUS, Caller
from skipseg.service.keys.store import GRAIN, Keys, KeyStore
from skipseg.service.observing.logs import NAME
from skipseg.service.refusals import KeysUnreadable, Unauthorized

log = logging.getLogger(NAME)

LONGEST = 16_384  # characters of a header that are looked at
HOW = "send the header Authorization: Bearer KEY (skipseg keys create)"


class Gate:
    """Lets keys and tokens in; and anybody, on loopback, while no key was ever made and no issuer is trusted."""

    def __init__(self, store: KeyStore, tokens: Tokens | None, loopback: bool) -> None:
        self._store, self._tokens = store, tokens
        self._needs_key = not loopback or tokens is not None
        self._noted: dict[str, datetime] = {}

    async def admit(self, credentials: Sequence[str]) -> Caller:
        """Who sends these ``Authorization`` headers.

        Raises ``Unauthorized``, ``KeysUnreadable`` and ``IssuerUnreachable``.
        """
        keys = self._store.keys()
        # From then on for good: a file that vanishes must not open the server.
        self._needs_key = self._needs_key or bool(keys.keys)
        if not credentials:
            return self._without_credentials()
        token = _bearer(credentials)
        if (id_ := id_in(token)) is not None:
            return await self._holder(id_, token, keys)
        if self._tokens is None:
            raise Unauthorized(f"this is no key of skipseg; {HOW}")
        return await self._tokens.caller(token)

    def _without_credentials(self) -> Caller:
        if self._needs_key:
            raise Unauthorized(f"this server answers only those who have a key; {HOW}", given=False)
        return ANONYMOUS

    async def _holder(self, id_: str, token: str, keys: Keys) -> Caller:
        key, now = keys.find(id_), datetime.now(UTC)
        if key is None or not key.is_of(token):
            raise Unauthorized(f"there is no such key here; {HOW}")
        if (state := key.state(now)) != "valid":
            raise Unauthorized(f"this key is {state}; have another made (skipseg keys create)")
        await self._note_use(key, now)
        return key.caller

    async def _note_use(self, key: Key, now: datetime) -> None:
        """A key works whether or not its last use can be kept."""
        last = self._noted.get(key.id, key.last_used)
        if last is not None and now - last < GRAIN:
            return
        self._noted[key.id] = now
        try:
            await run_sync(self._store.note_use, key.id, now)
        except (OSError, KeysUnreadable) as error:
            log.warning("use of a key not kept", extra={"fields": {"key": key.id, "reason": type(error).__name__}})


def _bearer(credentials: Sequence[str]) -> str:
    """The one token that came; raises ``Unauthorized``."""
    scheme, _, token = credentials[0].partition(" ")
    if len(credentials) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized(f"the header Authorization must come once, as Bearer KEY; {HOW}")
    if len(token) > LONGEST:
        raise Unauthorized(f"a key or token has at most {LONGEST:,} characters; {HOW}")
    return token.strip()
