"""What stands for a UID in names and logs: a hash that nobody without this folder's key can look for."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from skipseg.models.durable import write_whole

KEY, KEY_BYTES = "key", 32


class Pseudonyms:
    """The same UIDs have the same hash in one data folder, and another in every other."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def kept_in(cls, folder: Path) -> Pseudonyms:
        """With the key of a folder, made on the first call; its caller sees that there is one such call at a time."""
        path = folder / KEY
        if not path.exists():
            write_whole(path, secrets.token_bytes(KEY_BYTES), mode=0o600)
        return cls(path.read_bytes())

    def of(self, *uids: str) -> str:
        """32 hexadecimal digits."""
        return hmac.new(self._key, "\n".join(uids).encode(), hashlib.sha256).hexdigest()[:32]
