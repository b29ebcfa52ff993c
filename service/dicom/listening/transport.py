"""Connections: refused early, and never able to take more than their share of memory or threads.

pynetdicom 3.0 believes what a peer says about lengths, shakes hands for TLS where it accepts connections, and waits for
ever on a peer that has gone silent in the middle of a PDU; this is what it lacks.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from functools import partial
from socketserver import BaseServer
from typing import Any

from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from skipseg.service.dicom.listening.spool import Bounds, Spool
from skipseg.service.observing.logs import NAME, without_message

log = logging.getLogger(NAME)

PDU_BYTES = 2**18  # that we say we take
MOST_PDU_BYTES = 2**20  # of an association request, whose contexts a sender may list at length
MOST_COMMAND_BYTES = 2**16
MOST_WAITING = 2  # requests: without a window for more, a sender waits for each answer
SILENCE_S = 60.0


class Provider(DIMSEServiceProvider):
    """Puts data sets into spools."""

    def __init__(self, association: Association, bounds: Bounds) -> None:
        super().__init__(association)
        self._bounds = bounds
        self._spools = set[Spool]()

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take some more of a message; whoever sends what makes no sense is cut off."""
        if self.message is None:
            self.message = self._begun()
        try:
            super().receive_primitive(primitive)
        except Exception as error:  # noqa: BLE001 - pynetdicom raises whatever it stumbles over
            log.warning("message not understood", extra={"fields": without_message(error)})
            return self.dul.event_queue.put("Evt19")
        is_long = self.message is not None and self.message.encoded_command_set.tell() > MOST_COMMAND_BYTES
        if is_long or self.msg_queue.qsize() > MOST_WAITING:
            self.dul.event_queue.put("Evt19")

    def done_with(self, spool: Spool) -> None:
        """A request was answered."""
        spool.drop()
        self._spools.discard(spool)

    def drop_all(self) -> None:
        """The connection is gone."""
        for spool in list(self._spools):
            self.done_with(spool)

    def _begun(self) -> DIMSEMessage:
        message = DIMSEMessage()
        spool = Spool(message, self._bounds, self._syntax)
        self._spools.add(spool)
        message.data_set = spool
        return message

    def _syntax(self, context: int) -> UID:
        return self.assoc._accepted_cx[context].transfer_syntax[0]


class Handler(RequestHandler):
    """Makes an association of a connection."""

    server: Server

    def _create_association(self) -> Association:
        association = super()._create_association()
        association.dimse = Provider(association, self.server.bounds)
        found = association.dul.socket
        assert found is not None
        found.recv = partial(_received, found)  # type: ignore[method-assign]
        return association


class Server(ThreadedAssociationServer):
    """``lets_connect`` is asked for every address, ``refused`` told why somebody was sent away."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        *arguments: Any,
        bounds: Bounds,
        lets_connect: Callable[[str], bool],
        refused: Callable[[str, str], None],
        **more: Any,
    ) -> None:
        self.bounds, self._lets_connect, self._refused = bounds, lets_connect, refused
        more["request_handler"] = Handler
        super().__init__(*arguments, **more)

    def end(self) -> None:
        """Listen no more; associations go on until they end."""
        BaseServer.shutdown(self)
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        """A connection, which has not said anything yet."""
        assert self.socket is not None
        connection, address = self.socket.accept()
        connection.settimeout(SILENCE_S)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether a connection may go on; called before anything of it is read."""
        if not self._lets_connect(client_address[0]):
            self._refused("address", client_address[0])
            return False
        if len(self.active_associations) >= 2 * self.ae.maximum_associations:
            self._refused("too_many", client_address[0])
            return False
        return True

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands, in a thread of the connection's own, and begin the association."""
        if self.ssl_context is not None:
            try:
                request = self.ssl_context.wrap_socket(request, server_side=True)
            except OSError:  # which TLS errors are
                self._refused("tls", client_address[0])
                return request.close()  # type: ignore[no-any-return]
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.exception("connection failed")


def _received(found: AssociationSocket, size: int) -> bytearray:
    """So many bytes, fewer if the connection ends; raises ``OSError`` for more than a PDU has."""
    if size > MOST_PDU_BYTES:
        raise OSError("a PDU is longer than any should be")
    assert found.socket is not None
    whole = bytearray(size)
    view, taken = memoryview(whole), 0
    while taken < size:
        count = found.socket.recv_into(view[taken:])
        if not count:
            return whole[:taken]
        taken += count
    return whole
