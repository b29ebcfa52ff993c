"""The public keys of an OpenID Connect issuer, fetched when the first token comes."""

from __future__ import annotations

import json
import logging
import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

import anyio
from anyio.to_thread import run_sync

from skipseg.service.keys.addresses import is_safe
from skipseg.service.observing.logs import NAME
from skipseg.service.refusals import IssuerUnreachable

log = logging.getLogger(NAME)

DISCOVERY = "/.well-known/openid-configuration"
PATIENCE_S = 5.0
MOST_BYTES = 1 << 20
FRESH_S = 900.0  # how long fetched keys are taken without asking again
KEPT_S = 86_400.0  # and for how long when the issuer cannot be reached
BETWEEN_S = 10.0  # tokens with made-up key ids must not make us call the issuer for each

Jwk = Mapping[str, Any]


class Issuer:
    """Where public keys come from; for one event loop."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._keys: tuple[Jwk, ...] = ()
        self._fetched = self._asked = -KEPT_S
        self._asking = anyio.Lock()

    async def keys(self, id_: str | None) -> tuple[Jwk, ...]:
        """The keys of that id, none if there are none; all of them for None. Raises ``IssuerUnreachable``."""
        if self._age() > FRESH_S or not self._of(id_):
            await self._fetch()
        if self._age() > KEPT_S:
            raise IssuerUnreachable("the issuer of tokens does not tell its keys; try again, or ask with a key instead")
        return self._of(id_)

    def _of(self, id_: str | None) -> tuple[Jwk, ...]:
        return tuple(key for key in self._keys if id_ is None or key.get("kid") == id_)

    def _age(self) -> float:
        return time.monotonic() - self._fetched

    async def _fetch(self) -> None:
        async with self._asking:
            if time.monotonic() - self._asked < BETWEEN_S:
                return
            self._asked = time.monotonic()
            try:
                self._keys = await run_sync(fetch_keys, self.url)
                self._fetched = time.monotonic()
            except (OSError, ValueError, HTTPException) as error:
                log.warning("issuer does not answer", extra={"fields": {"reason": type(error).__name__}})


def fetch_keys(issuer: str) -> tuple[Jwk, ...]:
    """The key set of an issuer (OpenID Connect Discovery); raises ``OSError``, ``ValueError``, ``HTTPException``."""
    found = _fetch_json(issuer.rstrip("/") + DISCOVERY)
    if found.get("issuer") != issuer:
        raise ValueError("the document at the issuer is that of another issuer")
    keys = _fetch_json(str(found.get("jwks_uri"))).get("keys")
    if not isinstance(keys, list):
        raise ValueError("the issuer's key set has no list of keys")
    return tuple(key for key in keys if isinstance(key, dict) and key.get("use", "sig") == "sig")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """A redirect could lead to an address that was not checked, so it is an error."""


_OPENER = urllib.request.build_opener(_NoRedirects)


def _fetch_json(url: str) -> dict[str, Any]:
    if not is_safe(url):
        raise ValueError("an issuer's addresses must be https")
    with _OPENER.open(url, timeout=PATIENCE_S) as answer:
        body = answer.read(MOST_BYTES + 1)
    found = json.loads(body) if len(body) <= MOST_BYTES else None
    if not isinstance(found, dict):
        raise ValueError("the issuer answered with no JSON object, or with a very long one")
    return found
