"""Everything that a client may raise, drawn once.

    ClientError
    ├── Problem           the server refused, and says why: code, status, detail, request_id
    │   ├── KeyRefused    401, 403: no key, or one that may not do this
    │   ├── Unknown       404: no such model, upload or job
    │   ├── Conflict      409: the state of what was named forbids it
    │   ├── Busy          429, 503: it still is, after all retries
    │   └── ServerFailed  500 and above: the server's own error; its log has it under request_id
    ├── Unreachable       no answer, or one that broke off
    └── Damaged           what came is not what the server had announced

Other refusals, such as a scan that cannot be segmented (400, 413, 415, 422), are ``Problem`` itself: ``code`` tells
them apart.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError


class ClientError(Exception):
    """Base of every error of the client; messages are meant for people."""


class Problem(ClientError):
    """A problem document (RFC 9457); ``code`` is stable and meant for programs."""

    def __init__(self, status: int, code: str, title: str, detail: str, request_id: str) -> None:
        super().__init__(f"{detail} ({code}, {status})")
        self.status, self.code, self.title, self.detail, self.request_id = status, code, title, detail, request_id


class KeyRefused(Problem):
    pass


class Unknown(Problem):
    pass


class Conflict(Problem):
    pass


class Busy(Problem):
    pass


class ServerFailed(Problem):
    pass


class Unreachable(ClientError):
    pass


class Damaged(ClientError):
    pass


KINDS = {401: KeyRefused, 403: KeyRefused, 404: Unknown, 409: Conflict, 429: Busy, 503: Busy}


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore")

    code: str
    title: str
    detail: str
    request_id: str


def problem_of(status: int, content: bytes, request_id: str) -> Problem:
    """What an answer that is no success says; a proxy in between may say it in its own way."""
    kind = KINDS.get(status, ServerFailed if status >= 500 else Problem)
    try:
        told = _Document.model_validate_json(content)
    except ValidationError:
        detail = f"the server, or something before it, answered with status {status} and no problem document"
        return kind(status, "http", "No problem document", detail, request_id)
    return kind(status, told.code, told.title, told.detail, told.request_id)
