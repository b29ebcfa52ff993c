"""Why a request is refused before anything is done for it.

SkipsegError
├── KeyUnknown         the command line names a key that is not on file
├── KeysUnreadable     the file of keys is damaged or cannot be read: nobody gets in
├── IssuerUnreachable  the issuer of bearer tokens does not tell its keys
├── Unauthorized       no key, or one that does not count
├── Forbidden          a key that counts, and does not reach so far
├── TooManyRequests    this caller asks too often, or for too much at once
├── DiskFull           the disk has no room for what is sent
├── NodeAway           a DICOM node does not answer, or cannot just now
├── NodeRefused        a DICOM node answers, and does not do what is asked of it
└── SeriesUnknown      a DICOM node has no such study or series
"""

from __future__ import annotations

from skipseg.models.errors import SkipsegError

REALM = 'Bearer realm="skipseg"'


class KeyUnknown(SkipsegError):
    code = "key_unknown"


class KeysUnreadable(SkipsegError):
    code = "keys_unreadable"


class IssuerUnreachable(SkipsegError):
    code = "issuer_unreachable"


class Unauthorized(SkipsegError):
    """``challenge`` is the header WWW-Authenticate (RFC 6750)."""

    code = "unauthorized"

    def __init__(self, message: str, given: bool = True) -> None:
        super().__init__(message)
        self.challenge = f'{REALM}, error="invalid_token"' if given else REALM


class Forbidden(SkipsegError):
    code = "forbidden"


class TooManyRequests(SkipsegError):
    code = "too_many_requests"

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DiskFull(SkipsegError):
    code = "disk_full"


class NodeAway(SkipsegError):
    """It may answer later; ``retry_after_s``, if it told when."""

    code = "node_away"

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NodeRefused(SkipsegError):
    code = "node_refused"


class SeriesUnknown(SkipsegError):
    code = "series_unknown"
