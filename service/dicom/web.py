"""DICOMweb (PS3.18): what a PACS is asked over HTTP.

Everything goes through httpx: time limits on every step, bodies in blocks both ways, no proxies, no redirects,
so that nobody is called whom the settings do not name.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from skipseg.models.scans.limits import Limits
from skipseg.service.dicom.instances import Instance
from skipseg.service.dicom.multipart import BLOCK, Check, FileAsPart, PartsToFiles
from skipseg.service.dicom.nodes import WebNode
from skipseg.service.refusals import NodeAway, NodeRefused, SeriesUnknown

TIMEOUT = httpx.Timeout(60.0, connect=10.0)  # seconds without a byte
MOST_JSON = 32 * 2**20  # bytes of an answer to a search
AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
AS_THE_NODE_LIKES = 'multipart/related; type="application/dicom"'
JSON = {"Accept": "application/dicom+json"}

Found = Mapping[str, Any]  # a dataset in DICOM's JSON (PS3.18, F): values by tag


@dataclass(frozen=True)
class Listed:
    """A series as a search tells it."""

    uid: str
    modality: str
    description: str
    instances: int | None  # None: the node does not say


class WebClient:
    """One node; raises ``NodeAway``, ``NodeRefused`` and ``SeriesUnknown``. Use it as a context manager."""

    def __init__(self, node: WebNode) -> None:
        self._client = httpx.Client(
            headers={**node.credentials(), "Accept-Encoding": "identity"},
            verify=node.tls_context(),
            timeout=TIMEOUT,
            trust_env=False,
            follow_redirects=False,
        )
        self._root = node.url

    def __enter__(self) -> WebClient:
        return self

    def __exit__(self, *failure: object) -> None:
        self._client.close()

    def series_of(self, study: str, series: str | None = None) -> list[Listed]:
        """QIDO-RS: the series of a study, or that one of it; none where there are none."""
        only = {} if series is None else {"SeriesInstanceUID": series}
        wanted = {**only, "includefield": ["0008103E", "00201209"]}
        found = self._searched(f"/studies/{study}/series", wanted)
        return [_listed(one) for one in found if series is None or _value(one, "0020000E") == series]

    def has(self, instance: Instance) -> bool:
        """QIDO-RS: whether the node has an instance."""
        path = f"/studies/{instance.study}/series/{instance.series}/instances"
        found = self._searched(path, {"SOPInstanceUID": instance.uid})
        return any(_value(one, "00080018") == instance.uid for one in found)

    def fetch(self, study: str, series: str, into: Path, limits: Limits, check: Check) -> int:
        """WADO-RS: the files of a series, in a folder that is there; gives their number.

        Raises ``ScanTooLarge``, and what ``check`` raises, which is called again and again.
        """
        try:
            return self._fetched(f"/studies/{study}/series/{series}", AS_STORED, into, limits, check)
        except _NotInThisForm:
            return self._fetched(f"/studies/{study}/series/{series}", AS_THE_NODE_LIKES, into, limits, check)

    def store(self, file: Path) -> None:
        """STOW-RS: give the node one instance; returns when it says that it has it."""
        body = FileAsPart(file)
        headers = {**JSON, "Content-Type": body.content_type, "Content-Length": str(body.length)}
        with self._answer("POST", "/studies", headers=headers, content=iter(body)) as answer:
            _check_status(answer, but=(409,))  # 409: no instance was stored, and the body says why
            told = _document(answer)
        refused = told[0].get("00081198", {}).get("Value") if told else None
        if refused or answer.status_code == 409:
            reason = _value(refused[0], "00081197") if refused else None
            raise NodeRefused(f"the node does not store it (failure reason {_number(reason)})")

    def _searched(self, path: str, wanted: Mapping[str, Any]) -> list[Found]:
        with self._answer("GET", path, headers=JSON, params=wanted) as answer:
            if answer.status_code == 404:
                return []
            _check_status(answer)
            return [] if answer.status_code == 204 else _document(answer)

    def _fetched(self, path: str, form: str, into: Path, limits: Limits, check: Check) -> int:
        with self._answer("GET", path, headers={"Accept": form}) as answer:
            if answer.status_code in (400, 406) and form == AS_STORED:
                raise _NotInThisForm
            _check_status(answer)
            parts = PartsToFiles(answer.headers.get("content-type", ""), into, limits)
            try:
                for block in answer.iter_bytes(BLOCK):
                    check()
                    parts.write(block)
            finally:
                parts.end()
            parts.close()
        return parts.files

    @contextmanager
    def _answer(self, method: str, path: str, **asked: Any) -> Iterator[httpx.Response]:
        try:
            with self._client.stream(method, self._root + path, **asked) as answer:
                yield answer
        except httpx.TransportError as error:
            if _is_about_certificates(error):
                raise NodeRefused("the node's certificate is not one that ca_file, or the system, trusts") from None
            raise NodeAway(f"the node does not answer ({type(error).__name__})") from None


class _NotInThisForm(Exception):
    """The node may have it in another."""


def _check_status(answer: httpx.Response, but: tuple[int, ...] = ()) -> None:
    status = answer.status_code
    if 200 <= status < 300 or status in but:
        return
    if status in (408, 425, 429) or (status >= 500 and status not in (501, 505)):
        raise NodeAway(f"the node cannot answer just now (status {status})", _retry_after(answer))
    if status in (401, 403):
        raise NodeRefused(f"the node refuses who asks (status {status}); see SKIPSEG_DICOM_NODES")
    if status in (404, 410):
        raise SeriesUnknown("the node has no such study or series")
    raise NodeRefused(f"the node refuses what is asked (status {status})")


def _retry_after(answer: httpx.Response) -> float:
    told = answer.headers.get("retry-after", "")
    return float(told) if told.isdecimal() else 0.0


def _document(answer: httpx.Response) -> list[Found]:
    """A JSON body of bounded length; none is no answer's fault."""
    body = bytearray()
    for block in answer.iter_bytes(BLOCK):
        body += block
        if len(body) > MOST_JSON:
            raise NodeRefused(f"the node's answer to a search has more than {MOST_JSON:,} bytes")
    try:
        found = json.loads(body) if body.strip() else []
    except ValueError:
        raise NodeRefused("the node's answer to a search is not DICOM JSON") from None
    entries = found if isinstance(found, list) else [found]
    if not all(isinstance(entry, dict) for entry in entries):
        raise NodeRefused("the node's answer to a search is not DICOM JSON")
    return entries


def _value(found: Found, tag: str) -> Any:
    try:
        return found[tag]["Value"][0]
    except (KeyError, IndexError, TypeError):
        return None


def _listed(found: Found) -> Listed:
    count = _value(found, "00201209")
    return Listed(
        uid=str(_value(found, "0020000E") or ""),
        modality=str(_value(found, "00080060") or ""),
        description=str(_value(found, "0008103E") or ""),
        instances=int(count) if str(count).isdecimal() else None,
    )


def _number(told: object) -> str:
    """A code of the node's, as a number and never as its words."""
    return f"{told:04X}" if isinstance(told, int) else "not told"


def _is_about_certificates(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
