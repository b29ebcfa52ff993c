"""What comes beside a mask in one answer, when it is asked for: its numbers, and how unsure the network was."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from skipseg.models.errors import UsageError

SUMMARY, UNCERTAINTY = "summary", "uncertainty"
NAMES = (SUMMARY, UNCERTAINTY)


@dataclass(frozen=True)
class Part:
    """One part of an answer: what a form calls it, and its file."""

    name: str
    content: bytes
    media_type: str
    suffix: str


def parse_beside(text: str | None) -> frozenset[str]:
    """``summary,uncertainty`` as names; raises ``UsageError`` for one that is none of ``NAMES``."""
    asked = frozenset(name.strip() for name in (text or "").split(",") if name.strip())
    if unknown := sorted(asked - set(NAMES)):
        raise UsageError(f"beside a mask come {' and '.join(NAMES)}, separated by commas; got {unknown[0]!r}")
    return asked


def as_form(parts: Iterable[Part]) -> tuple[bytes, str]:
    """Parts as one body, and its media type (RFC 7578): browsers and mail libraries take it apart."""
    boundary = secrets.token_hex(16)
    body = b"".join(_head(part, boundary) + part.content + b"\r\n" for part in parts)
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _head(part: Part, boundary: str) -> bytes:
    return (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{part.name}"; filename="{part.name}{part.suffix}"\r\n'
        f"Content-Type: {part.media_type}\r\n\r\n"
    ).encode()
