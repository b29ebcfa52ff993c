"""Other UIDs and other patients' ids in place of the real ones: the same for the same, and nothing to be read off them.

They are drawn from a secret (HMAC-SHA256): who does not have it cannot find out what one stood for, not even by trying
all UIDs of a hospital. A secret that is thrown away cuts the way back for everybody.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from secrets import token_bytes
from uuid import UUID

from skipseg.training.deidentify.profile import is_of_the_standard

SECRET_BYTES = 32


class Pseudonyms:
    """What stands for what. ``uids`` and ``patients`` are a table of all that was asked for, real ones first."""

    def __init__(
        self, secret: bytes | None = None, uids: Mapping[str, str] = {}, patients: Mapping[str, str] = {}
    ) -> None:
        self.secret = token_bytes(SECRET_BYTES) if secret is None else secret
        self.uids, self.patients = dict(uids), dict(patients)

    def uid(self, real: str) -> str:
        """The UID in place of a real one; those that DICOM defines name no patient, and stay."""
        if not real or is_of_the_standard(real):
            return real
        if real not in self.uids:
            self.uids[real] = f"2.25.{UUID(bytes=self._digest('uid', real)[:16], version=4).int}"
        return self.uids[real]

    def patient(self, real: str) -> str:
        """The id and name in place of a patient's id; without one there is none."""
        if real and real not in self.patients:
            self.patients[real] = "P-" + base64.b32encode(self._digest("patient", real)[:10]).decode()
        return self.patients[real] if real else ""

    def _digest(self, kind: str, real: str) -> bytes:
        return hmac.digest(self.secret, f"{kind}\0{real}".encode(), "sha256")
