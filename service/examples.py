"""Examples for the OpenAPI document: of every problem, by its status, and of what travels as JSON, by its schema."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

REQUEST_ID = "1a0b223979604b24b60221ff0ec9483c"
JOB = "0b5c8a7f2e914d0c9d3a6c1e5f7b2a48"
UPLOAD = "7f2e914d0c9d3a6c1e5f7b2a480b5c8a"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

PROBLEMS: dict[int, tuple[str, str]] = {  # code and detail
    400: ("scan_corrupt", "the file ends before its last voxel; copy or upload it again"),
    401: ("unauthorized", "send a key in the header Authorization: Bearer KEY; skipseg keys create makes one"),
    403: ("forbidden", "this needs a key with the scope admin"),
    404: ("model_unknown", "there is no model 'liver'; there are: hippocampus"),
    406: ("not_acceptable", "masks are written as application/gzip, application/json, image/png"),
    409: ("job_conflict", "the job is still running; wait until it has ended, or cancel it first"),
    413: ("scan_too_large", "a request may have at most 2,147,483,648 bytes; this one has 3,000,000,000 or more"),
    415: ("scan_format_unknown", "DICOM files are not read; convert the series to NIfTI"),
    422: ("scan_unusable", "this model needs 2 channels (FLAIR, T1c); the scan has 1"),
    429: ("queue_full", "16 scans are being worked on already; send it again in 2 s"),
    503: ("not_ready", "models are still being loaded; ask /readyz"),
    507: ("disk_full", "the server's disk has no room for the upload; free space there, or try again later"),
}

SCHEMAS: dict[str, dict[str, Any]] = {
    "Health": {"status": "ok"},
    "Readiness": {"status": "ready", "models": ["hippocampus@1"], "failed": []},
    "SegmentOrder": {
        "kind": "segment",
        "model": "hippocampus",
        "inputs": {"upload": UPLOAD},
        "format": "nifti",
        "priority": "normal",
    },
    "UploadAnswer": {
        "id": UPLOAD,
        "kind": "zip",
        "bytes": 73_400_320,
        "sha256": SHA256,
        "made": "2026-01-31T08:00:00Z",
    },
    "JobAnswer": {
        "id": JOB,
        "kind": "segment",
        "state": "running",
        "model": "hippocampus@1",
        "progress": {"done": 180, "failed": 2, "total": 208},
        "eta_s": 1.3,
        "made": "2026-01-31T08:00:00Z",
        "started": "2026-01-31T08:00:01Z",
        "ended": None,
        "order": {"format": None, "tta": False, "overlap": None, "priority": "normal", "reuse": False},
    },
    "ItemPage": {
        "items": [
            {
                "item": 0,
                "name": "mr/a",
                "state": "done",
                "mask": f"/v1/jobs/{JOB}/items/0/mask",
                "mask_sha256": SHA256,
                "sha256": SHA256,
                "seconds": 0.21,
                "backend": "openvino bf16",
                "volumes_mm3": {"Anterior": 1701.0, "Posterior": 1544.0},
            },
            {
                "item": 1,
                "name": "mr/b",
                "state": "failed",
                "code": "scan_corrupt",
                "problem": "the file ends before its last voxel; copy or upload it again",
            },
        ],
        "total": 2,
    },
}


def problem_example(status: int) -> dict[str, object]:
    """A problem document of this status."""
    phrase = HTTPStatus(status).phrase
    code, detail = PROBLEMS.get(status, (phrase.lower().replace(" ", "_"), phrase))
    return {"title": phrase, "status": status, "detail": detail, "code": code, "request_id": REQUEST_ID}


def with_examples(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document, with an example at every schema that has one here."""
    schemas = document["components"]["schemas"]
    for name, example in SCHEMAS.items():
        if name in schemas:
            schemas[name]["examples"] = [example]
    return document
