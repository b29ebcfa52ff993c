"""Which format a mask is written in: ``?format=``, else ``Accept`` (RFC 9110, 12.5.1), else the scan's own."""

from __future__ import annotations

from fastapi import HTTPException

from skipseg.models.errors import UsageError
from skipseg.models.scans.masks import MASK_FORMATS

NAMES = ", ".join(MASK_FORMATS)


def mask_format(asked: str | None, accept: str | None) -> str | None:
    """A name of ``MASK_FORMATS``, or None for the scan's own.

    Raises ``UsageError`` for a format that is not written, and 406 when ``Accept`` allows none that is.
    """
    if asked is not None:
        return _known(asked)
    wanted = _ranges(accept or "*/*")
    for range_ in wanted:
        if range_ in ("*/*", "application/*"):
            return None
        if name := _with_media_type(range_):
            return name
    raise HTTPException(406, f"masks are written as {', '.join(sorted({f.media_type for f in MASK_FORMATS.values()}))}")


def _known(name: str) -> str:
    if name not in MASK_FORMATS:
        raise UsageError(f"masks are written as {NAMES}; got the format {name!r}")
    return name


def _with_media_type(range_: str) -> str | None:
    whole = range_.removesuffix("*") if range_.endswith("/*") else None
    for name, format in MASK_FORMATS.items():
        if format.media_type == range_ or (whole and format.media_type.startswith(whole)):
            return name
    return None


def _ranges(accept: str) -> list[str]:
    """Media ranges, most wanted first; those of quality 0 left out."""
    weighted = [
        (_quality(parameters), range_.strip().lower())
        for range_, _, parameters in (p.partition(";") for p in accept.split(","))
    ]
    return [range_ for quality, range_ in sorted(weighted, key=lambda pair: -pair[0]) if quality > 0]


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
