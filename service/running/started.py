"""A server in a process of its own: its URL, once it can segment."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from skipseg.models.errors import NotReady


def url_when_ready(server: subprocess.Popen[bytes], log: Path, model: str, seconds: float) -> str:
    """The URL that a server tells in its log, once ``model`` is loaded and warm.

    Raises ``NotReady`` when it ends, or takes longer than so many seconds.
    """
    deadline = time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < deadline:
        if (url := _url_in(log)) and _serves(url, model):
            return url
        time.sleep(0.05)
    said = log.read_text(errors="replace")[-500:]
    raise NotReady(f"the server did not become ready; the end of its log, {log}: {said}")


def _url_in(log: Path) -> str | None:
    events = (json.loads(line) for line in log.read_text().splitlines(keepends=True) if _is_event(line))
    return next((event["url"] for event in events if event.get("event") == "listening"), None)


def _is_event(line: str) -> bool:
    return line.startswith("{") and line.endswith("}\n")


def _serves(url: str, model: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=30) as answer:
            return any(loaded.startswith(f"{model}@") for loaded in json.load(answer)["models"])
    except (urllib.error.URLError, TimeoutError):
        return False
