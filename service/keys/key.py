"""An API key: what the holder has, and what is kept of it.

The holder has ``skipseg_<id>_<secret>``; the secret is 256 random bits. Kept is its SHA-256: a slow hash protects
passwords that can be guessed, and nobody guesses this one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from skipseg.models.errors import UsageError
from skipseg.service.keys.scopes import Caller, Scope

PREFIX = "skipseg_"
TOKEN = re.compile(r"skipseg_([0-9a-f]{12})_[0-9a-f]{64}")
MOST_DAYS = 3650
LONGEST_NAME = 64

State = Literal["valid", "expired", "revoked"]


class Key(BaseModel):
    """What is kept of a key; it does not let anybody in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[0-9a-f]{12}$")
    name: str  # a label for people; in no log
    scopes: tuple[Scope, ...]
    made: AwareDatetime
    expires: AwareDatetime | None
    revoked: AwareDatetime | None = None
    last_used: AwareDatetime | None = None  # to the minute
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    def state(self, now: datetime) -> State:
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "valid"

    def is_of(self, token: str) -> bool:
        """Is this what was handed out? Takes as long for a near miss as for a wild guess."""
        return hmac.compare_digest(self.sha256, _sha256(token))

    @property
    def caller(self) -> Caller:
        return Caller(f"key:{self.id}", frozenset(self.scopes))


def make_key(name: str, scopes: tuple[Scope, ...], days: int, now: datetime) -> tuple[Key, str]:
    """A new key and its token, which is kept nowhere; 0 days: it does not expire. Raises ``UsageError``."""
    if not (name.isprintable() and len(name) <= LONGEST_NAME):
        raise UsageError(f"a key's name is one printable line of at most {LONGEST_NAME} characters")
    if not 0 <= days <= MOST_DAYS:
        raise UsageError(f"a key is valid for 1 to {MOST_DAYS} days, or for ever with 0; got {days}")
    made = now.astimezone(UTC).replace(microsecond=0)
    id_ = secrets.token_hex(6)
    token = f"{PREFIX}{id_}_{secrets.token_hex(32)}"
    expires = made + timedelta(days=days) if days else None
    key = Key(id=id_, name=name, scopes=scopes, made=made, expires=expires, sha256=_sha256(token))
    return key, token


def id_in(token: str) -> str | None:
    """Which key a token claims to be; None when it is no token of ours."""
    match = TOKEN.fullmatch(token)
    return match[1] if match else None


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
