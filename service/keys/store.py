"""The keys on file: ``keys.json`` in the data folder, read again whenever it changed.

Every change holds a lock, reads, and puts a whole new file in the place of the old one: several processes may serve and
change keys at once. A key that is revoked stays on file, so that a list tells it, and so that a server whose last key
was revoked is not mistaken for one that never had any.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from skipseg.models.durable import write_whole
from skipseg.service.keys.key import Key, make_key
from skipseg.service.keys.owner import hand_to_owner_of
from skipseg.service.keys.scopes import Scope
from skipseg.service.refusals import KeysUnreadable, KeyUnknown

FILE = "keys.json"
PATIENCE_S = 10.0
GRAIN = timedelta(minutes=1)  # of `last_used`: a request is answered without writing anything, mostly


class Keys(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    keys: tuple[Key, ...] = ()

    def find(self, id_: str) -> Key | None:
        return next((key for key in self.keys if key.id == id_), None)


NO_KEYS = Keys()
Stamp = tuple[int, int, int, int]


class KeyStore:
    """The keys of one data folder, which is made with the first of them."""

    def __init__(self, data: Path) -> None:
        self.path = data / FILE
        self._read_at: Stamp | None = None
        self._keys = NO_KEYS
        self._reading = threading.Lock()

    def keys(self) -> Keys:
        """Every key that was ever made, as the file says now; raises ``KeysUnreadable``."""
        with self._reading:
            if (stamp := self._stamp()) != self._read_at:
                self._keys, self._read_at = self._read(), stamp
            return self._keys

    def any_valid(self) -> bool:
        """Is there a key that lets its holder in? Raises ``KeysUnreadable``."""
        now = datetime.now(UTC)
        return any(key.state(now) == "valid" for key in self.keys().keys)

    def create(self, name: str, scopes: tuple[Scope, ...], days: int) -> tuple[Key, str]:
        """A new key on file, and its token. Raises ``UsageError``, ``KeysUnreadable``, ``OSError``."""
        key, token = make_key(name, scopes, days, datetime.now(UTC))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._change(lambda keys: (*keys, key))
        return key, token

    def revoke(self, id_: str) -> Key:
        """End a key. Raises ``KeyUnknown``, ``KeysUnreadable``, ``OSError``."""
        if (key := self.keys().find(id_)) is None:
            raise KeyUnknown("there is no key of that id; `skipseg keys list` shows them (an id has 12 digits)")
        now = datetime.now(UTC).replace(microsecond=0)
        self._replace(id_, lambda one: one if one.revoked else one.model_copy(update={"revoked": now}))
        return key

    def note_use(self, id_: str, when: datetime) -> None:
        """Keep when a key was used, to the minute. Raises ``KeysUnreadable``, ``OSError``."""
        last = when.astimezone(UTC).replace(second=0, microsecond=0)
        self._replace(id_, lambda one: one.model_copy(update={"last_used": max(last, one.last_used or last)}))

    def _replace(self, id_: str, changed: Callable[[Key], Key]) -> None:
        self._change(lambda keys: tuple(changed(key) if key.id == id_ else key for key in keys))

    def _change(self, change: Callable[[tuple[Key, ...]], tuple[Key, ...]]) -> None:
        lock = self.path.with_name(f"{FILE}.lock")
        try:
            with FileLock(lock, timeout=PATIENCE_S, mode=0o600):
                hand_to_owner_of(self.path.parent, lock)
                self._write(Keys(keys=change(self._read().keys)))
        except Timeout:
            raise KeysUnreadable(f"another process has held {FILE}.lock for {PATIENCE_S:.0f} s; try again") from None

    def _stamp(self) -> Stamp | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError:
            raise _unreadable() from None
        return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size

    def _read(self) -> Keys:
        try:
            return Keys.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return NO_KEYS
        except (OSError, ValidationError):
            raise _unreadable() from None

    def _write(self, keys: Keys) -> None:
        content = keys.model_dump_json(indent=1).encode()
        write_whole(self.path, content, 0o600, before=partial(hand_to_owner_of, self.path.parent))


def _unreadable() -> KeysUnreadable:
    return KeysUnreadable(
        f"{FILE} in the data folder is damaged, or belongs to another user; nobody is let in until the user that the "
        "server runs as can read it, or it is removed and keys are made again"
    )
