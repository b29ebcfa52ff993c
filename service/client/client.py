"""A server, as a Python object. Read ``Client`` first."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from skipseg.client.answers import Info, Mask, Model, ModelList, Upload
from skipseg.client.errors import Unreachable
from skipseg.client.jobs import Jobs
from skipseg.client.sending import form_of
from skipseg.client.transport import Transport

KEY_VARIABLE = "SKIPSEG_API_KEY"
CONNECT_S = 10.0

Scan = Path | str | bytes
Slices = Mapping[str, Path]


class Client:
    """One server, for any number of threads; use it as a context manager, or ``close`` it.

    ``key`` is an API key, by default that of the environment variable SKIPSEG_API_KEY; ``timeout`` is how many seconds
    a server may be silent in the middle of an answer; ``retries`` how often a request is sent again when the server is
    busy (429, 503) or the connection breaks, with growing pauses, or those that the server names (``Retry-After``).

    Every method raises ``Problem`` when the server refuses, and ``Unreachable`` when there is no whole answer; making a
    client raises ``Unreachable`` for a URL that is none.
    """

    def __init__(self, url: str, key: str | None = None, *, timeout: float = 600.0, retries: int = 6) -> None:
        key = key or os.environ.get(KEY_VARIABLE)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        patience = httpx.Timeout(timeout, connect=min(timeout, CONNECT_S))
        self._http = httpx.Client(base_url=_checked(url), headers=headers, timeout=patience)
        self._transport = Transport(self._http, retries)
        self.jobs = Jobs(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def info(self) -> Info:
        """What the server is."""
        return Info.model_validate_json(self._transport.ask("GET", "/v1/info").content)

    def models(self) -> Sequence[Model]:
        """The models that it has."""
        return ModelList.model_validate_json(self._transport.ask("GET", "/v1/models").content).models

    def model(self, name: str) -> Model:
        """One of them; raises ``Unknown``."""
        return Model.model_validate_json(self._transport.ask("GET", f"/v1/models/{quote(name, safe='')}").content)

    def segment(
        self,
        scan: Scan | Slices | Sequence[Scan],
        model: str | None = None,
        format: str | None = None,
        *,
        tta: bool = False,
        overlap: float | None = None,
        roi: str | None = None,
        series: str | None = None,
        geometry: str | None = None,
    ) -> Mask:
        """The mask of one scan: a path, its bytes, or several of these for several channels, in order.

        A folder is sent as a DICOM series, and so are files with the names they shall have in the archive that is
        sent; ``series`` chooses by UID where there are several, ``geometry="resample"`` has slices interpolated that
        lie on no regular grid. The scan's name is not sent. Raises ``OSError`` when a file cannot be read.
        """
        wishes = {"model": model, "format": format, "tta": tta or None, "overlap": overlap, "roi": roi}
        wishes |= {"series": series, "geometry": geometry}
        params = {name: value for name, value in wishes.items() if value is not None}
        if (slices := _slices(scan)) is not None:
            zipped = partial(form_of, slices, "scan")
            return _mask_of(self._transport.ask("POST", "/v1/segmentations", params=params, make=zipped))
        channels = [scan] if isinstance(scan, Path | str | bytes) else list(scan)
        with ExitStack() as opened:
            make = _parts("scan", [_opened(channel, opened) for channel in channels])
            answer = self._transport.ask("POST", "/v1/segmentations", params=params, make=make)
        return _mask_of(answer)

    def upload(self, file: Path | str, name: str | None = None) -> Upload:
        """Keep a scan, or a zip archive, on the server for later calls; under ``name``, by default the file's.

        Raises ``OSError`` when it cannot be read. Sent again after a broken connection it may be there twice, until it
        expires.
        """
        with Path(file).open("rb") as opened:
            make = _parts("file", [opened], name or Path(file).name)
            answer = self._transport.ask("POST", "/v1/uploads", make=make)
        return Upload.model_validate_json(answer.content)

    def upload_scans(self, scans: Mapping[str, Path]) -> Upload:
        """Keep scans on the server as one archive, which is made while it is sent, under names such as ``mr/a.nii.gz``.

        Raises ``OSError`` when a file cannot be read.
        """
        return Upload.model_validate_json(
            self._transport.ask("POST", "/v1/uploads", make=lambda: form_of(scans)).content
        )


def _checked(url: str) -> httpx.URL:
    try:
        checked = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise Unreachable(f"a server's URL is such as http://localhost:8000; this one is none: {error}") from None
    if checked.scheme not in ("http", "https") or not checked.host:
        raise Unreachable(f"a server's URL is such as http://localhost:8000; got {url!r}")
    return checked


def _slices(scan: Any) -> Slices | None:
    """The files of a series that comes as a folder, or as files; None for every other scan."""
    if isinstance(scan, Mapping):
        return scan
    if isinstance(scan, Path | str) and Path(scan).is_dir():
        files = sorted(path for path in Path(scan).rglob("*") if path.is_file())
        return {f"{number:06}": path for number, path in enumerate(files)}
    return None


def _opened(scan: Scan, opened: ExitStack) -> Any:
    return scan if isinstance(scan, bytes) else opened.enter_context(Path(scan).open("rb"))


def _parts(field: str, contents: Sequence[Any], name: str = "scan") -> Callable[[], dict[str, Any]]:
    """Multipart parts, read from their beginning by every try."""

    def make() -> dict[str, Any]:
        for content in contents:
            if not isinstance(content, bytes):
                content.seek(0)
        return {"files": [(field, (name, content, "application/octet-stream")) for content in contents]}

    return make


def _mask_of(answer: httpx.Response) -> Mask:
    named = re.search(r'filename="mask([^"]*)"', answer.headers.get("Content-Disposition", ""))
    return Mask(
        content=answer.content,
        media_type=answer.headers.get("Content-Type", ""),
        suffix=named[1] if named else "",
        model=answer.headers.get("X-Skipseg-Model", ""),
        backend=answer.headers.get("X-Skipseg-Backend", ""),
        request_id=answer.headers.get("X-Request-Id", ""),
        series=answer.headers.get("X-Skipseg-Series", ""),
        notes=tuple(filter(None, answer.headers.get("X-Skipseg-Notes", "").split("; "))),
    )
