"""What a URL in the settings must be."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_safe(url: str) -> bool:
    """Nobody on the way can have changed what is read from there: https, or this very machine."""
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
    return bool(parts.hostname) and (parts.scheme == "https" or local)


def is_origin(text: str) -> bool:
    """``https://viewer.example`` or ``http://localhost:3000``, as browsers write it in the header ``Origin``."""
    parts = urlsplit(text)
    return bool(parts.hostname) and text == f"{parts.scheme}://{parts.netloc}".lower() and "*" not in text
