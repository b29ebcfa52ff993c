"""The storage SCP: who may associate, and what becomes of each C-STORE request. C-ECHO is answered by pynetdicom."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event

from skipseg.models.errors import ScanCorrupt, UsageError
from skipseg.service.dicom.listening.classes import contexts
from skipseg.service.dicom.listening.counters import Counters
from skipseg.service.dicom.listening.header import read_header
from skipseg.service.dicom.listening.inbox import Inbox
from skipseg.service.dicom.listening.senders import Senders, tls_of
from skipseg.service.dicom.listening.spool import Bounds, Spool
from skipseg.service.dicom.listening.statuses import Status
from skipseg.service.dicom.listening.transport import PDU_BYTES, SILENCE_S, Provider, Server
from skipseg.service.observing.logs import NAME
from skipseg.service.refusals import DiskFull
from skipseg.service.settings import Settings

log = logging.getLogger(NAME)

REJECTED, BY_US, TITLE_UNKNOWN = 1, 1, 3  # PS3.8 9.3.4: permanently, service user, calling AE title not recognised


class StorageProvider:
    """Takes instances into an inbox, from those who may send."""

    def __init__(self, settings: Settings, inbox: Inbox, counters: Counters) -> None:
        self.settings, self.inbox, self.counters = settings, inbox, counters
        self.senders = Senders(settings.dicom_senders)

    def start(self) -> Server:
        """Listen, in threads; raises ``UsageError`` for an address that cannot be had, or files for TLS."""
        _config.LOG_HANDLER_LEVEL = "none"
        entity = AE(self.settings.dicom_ae)
        entity.require_called_aet = True
        entity.maximum_associations = self.settings.dicom_associations
        entity.maximum_pdu_size = PDU_BYTES
        entity.network_timeout = SILENCE_S
        host, port = self.settings.dicom_host, self.settings.dicom_port
        try:
            server = Server(
                entity,
                (host, port),
                entity.ae_title,
                contexts(),
                tls_of(self.settings),
                evt_handlers=[
                    (evt.EVT_REQUESTED, self._requested),
                    (evt.EVT_REJECTED, self._rejected),
                    (evt.EVT_C_STORE, self._stored),
                    (evt.EVT_CONN_CLOSE, self._closed),
                ],
                bounds=Bounds(self.inbox.receiving, self.settings.max_upload_bytes, self.settings.min_free_bytes),
                lets_connect=self.senders.include_address,
                refused=self._refused,
            )
        except OSError as error:
            raise UsageError(f"cannot listen on {host} port {port}: {error.strerror}; choose another") from None
        threading.Thread(target=server.serve_forever, name="skipseg-dicom", daemon=True).start()
        return server

    def _requested(self, event: Event) -> None:
        """Reject an association of somebody who may not send from where they are."""
        title, address = _who(event.assoc)
        if not self.senders.include(title, address):
            self._refused("calling_title", address, title)
            event.assoc.acse.send_reject(REJECTED, BY_US, TITLE_UNKNOWN)
            event.assoc.kill()

    def _rejected(self, event: Event) -> None:
        """pynetdicom has rejected one: for the title that we were called by, or since there are too many."""
        title, address = _who(event.assoc)
        requested = event.assoc.requestor.primitive
        is_us = requested is not None and str(requested.called_ae_title).strip() == self.settings.dicom_ae
        self._refused("too_many" if is_us else "called_title", address, title)

    def _refused(self, reason: str, address: str, title: str | None = None) -> None:
        self.counters.refused(reason)
        fields = {"reason": reason, "address": address, **({"calling": title} if title is not None else {})}
        log.warning("association refused", extra={"fields": fields})

    def _stored(self, event: Event) -> int:
        """Keep an instance; only what is on the disk is answered with success."""
        request, provider = event.request, event.assoc.dimse
        assert isinstance(request, C_STORE)
        assert isinstance(provider, Provider)
        assert isinstance(request.DataSet, Spool)
        spool, (title, _) = request.DataSet, _who(event.assoc)
        try:
            path = spool.finish()
            status = spool.fault if path is None else self._taken(path, request, title)
            assert status is not None
        finally:
            provider.done_with(spool)
        self.counters.instance(f"{status.value:04x}", spool.bytes if status is Status.STORED else 0)
        if status is not Status.STORED:
            fields = {"status": f"{status.value:04x}", "calling": title, "bytes": spool.bytes}
            log.warning("instance refused", extra={"fields": fields})
        return status.value

    def _taken(self, path: Path, request: C_STORE, title: str) -> Status:
        try:
            header = read_header(path)
            announced = (str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
            if (header.sop_class, header.instance) != announced:
                return Status.NOT_ITS_CLASS
            self.inbox.take(path, header, title)
        except ScanCorrupt:
            return Status.NOT_UNDERSTOOD
        except (OSError, DiskFull):
            return Status.OUT_OF_RESOURCES
        return Status.STORED

    def _closed(self, event: Event) -> None:
        provider = event.assoc.dimse
        if isinstance(provider, Provider):
            provider.drop_all()


def _who(association: Association) -> tuple[str, str]:
    """The calling AE title, and the address it came from."""
    requested = association.requestor.primitive
    assert requested is not None
    return str(requested.calling_ae_title).strip(), str(association.requestor.address)
