"""HTTP/1.1 as uvicorn speaks it, but what is no HTTP gets an id, a log line and a problem document like all else."""

from __future__ import annotations

import logging
import uuid

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from skipseg.service.observing.logs import NAME
from skipseg.service.problems import MEDIA_TYPE
from skipseg.service.schemas import Problem

log = logging.getLogger(NAME)

DETAIL = "what came is no HTTP/1.1 request, or its headers are too long; send one, without TLS, such as curl makes"


class Protocol(H11Protocol):
    """Bytes that are no request never reach the app, and so not what gives requests their ids."""

    def send_400_response(self, msg: str) -> None:
        request_id, code = uuid.uuid4().hex, "bad_request"
        log.info("no request", extra={"fields": {"request_id": request_id, "status": 400, "code": code}})
        told = Problem(title="Bad Request", status=400, detail=DETAIL, code=code, request_id=request_id)
        body = told.model_dump_json().encode()
        headers = [
            ("Content-Type", MEDIA_TYPE),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            ("X-Request-Id", request_id),
        ]
        answer = h11.Response(status_code=400, reason=b"Bad Request", headers=headers)
        for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
