"""Peers that lie, break off or fall silent take nothing from others."""

import os
import socket
import struct

import pytest
from dicom_senders import MadeUp, needs_dcmtk, storescu, until
from process_memory import forget_the_peak, kilobytes
from pynetdicom import AE
from pynetdicom.pdu_primitives import P_DATA

pytestmark = needs_dcmtk

ABORTED = 7  # the type of an A-ABORT PDU (PS3.8 9.3.8)


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        struct.pack(">BBL", 1, 0, 2**32 - 1),  # an association request of 4 GiB
        struct.pack(">BBL", 1, 0, 4) + b"\0\0\0\0",
        struct.pack(">BBL", 4, 0, 16) + bytes(16),  # data before an association
        bytes(100),
    ],
)
def test_what_makes_no_sense_ends_its_connection_and_no_other(listener, tmp_path, bytes_sent) -> None:
    parts = listener()
    forget_the_peak(os.getpid())
    before = kilobytes(os.getpid(), "VmRSS")
    with socket.create_connection(("127.0.0.1", parts.port), timeout=30) as peer:
        peer.sendall(bytes_sent)
        if bytes_sent[:1] == b"\1":
            peer.shutdown(socket.SHUT_WR)
        answer = peer.recv(4096)
        assert not answer or answer[0] == ABORTED
    assert kilobytes(os.getpid(), "VmHWM") - before < 100 * 2**10
    assert storescu(parts.port, *MadeUp().write(tmp_path / "sent", 1)).returncode == 0


def test_an_instance_that_breaks_off_leaves_nothing_behind(listener) -> None:
    parts = listener()
    association = associated(parts.port)
    association.dul.send_pdu(fragment(association, command_of(MadeUp().instance(0)), 3))
    association.dul.send_pdu(fragment(association, bytes(1000), 0))
    until(lambda: any(parts.rounds.inbox.receiving.iterdir()))
    association.abort()
    until(lambda: not any(parts.rounds.inbox.receiving.iterdir()))
    parts.settle()
    assert not list(parts.rounds.inbox.root.rglob("*.dcm"))


def test_a_command_without_end_ends_its_association(listener) -> None:
    association = associated(listener().port)
    for _ in range(40):
        association.dul.send_pdu(fragment(association, bytes(4000), 1))
    until(lambda: association.is_aborted or not association.is_established)


def test_only_so_many_may_send_at_once(listener, tmp_path) -> None:
    parts = listener(dicom_associations=1)
    first, paths = associated(parts.port), MadeUp().write(tmp_path / "sent", 1)
    refused = storescu(parts.port, *paths)
    assert refused.returncode != 0
    assert "Local Limit Exceeded" in refused.stderr  # not by pynetdicom, which may miss a rejection that comes at once
    until(lambda: parts.refused("too_many") == 1)
    first.release()
    until(lambda: storescu(parts.port, *paths).returncode == 0)


def associated(port: int):
    entity = AE("CT1")
    entity.add_requested_context(MadeUp().sop_class)
    association = entity.associate("127.0.0.1", port, ae_title="SKIPSEG")
    assert association.is_established
    return association


def fragment(association, content: bytes, control: int) -> P_DATA:
    """One piece of a message (PS3.8 E.2): 1 is a command's, 2 the last of its kind."""
    found = P_DATA()
    found.presentation_data_value_list.append((association.accepted_contexts[0].context_id, bytes([control]) + content))
    return found


def command_of(instance) -> bytes:
    from pynetdicom.dimse_messages import C_STORE_RQ
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.dsutils import encode

    request = C_STORE()
    request.MessageID, request.Priority = 1, 0
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = instance.SOPClassUID, instance.SOPInstanceUID
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    message.command_set.CommandDataSetType = 1
    return encode(message.command_set, True, True)
