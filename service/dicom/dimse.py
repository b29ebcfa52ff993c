"""C-STORE (PS3.7): results sent to a node over DICOM's own protocol."""

from __future__ import annotations

import logging
from pathlib import Path

from pydicom.uid import UID
from pynetdicom import AE

from skipseg.service.dicom.instances import instance_in
from skipseg.service.dicom.nodes import DimseNode
from skipseg.service.refusals import NodeAway, NodeRefused

NOT_TAKEN = "the node does not take this kind of DICOM object (its SOP class or transfer syntax)"
CONNECT_S, ANSWER_S = 10.0, 60.0
# Success, stored with a warning (PS3.4, B.2.3), and there already (PS3.7, C.5)
STORED = {0x0000, 0xB000, 0xB006, 0xB007, 0x0111}


def store(node: DimseNode, calling: str, file: Path) -> None:
    """Give a node one instance; returns when it says that it has it. Raises ``NodeAway``, ``NodeRefused``."""
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # it would log what goes over the wire
    instance = instance_in(file)
    entity = AE(ae_title=calling)
    entity.connection_timeout, entity.acse_timeout = CONNECT_S, ANSWER_S
    entity.dimse_timeout = entity.network_timeout = ANSWER_S
    entity.add_requested_context(UID(instance.sop_class), UID(instance.transfer_syntax))
    tls = (node.tls_context(), node.host) if node.tls else None
    association = entity.associate(node.host, node.port, ae_title=node.ae, tls_args=tls)
    if association.is_rejected:
        raise NodeRefused("the node refuses the association; do the AE titles of both sides agree?")
    if not association.is_established:
        if association.is_aborted and association.rejected_contexts:
            raise NodeRefused(NOT_TAKEN)
        raise NodeAway("the node does not answer, or breaks off before the association is there")
    try:
        status = association.send_c_store(file)
    except ValueError:
        raise NodeRefused(NOT_TAKEN) from None
    finally:
        association.release()
    _check(status.get("Status") if status else None)


def _check(status: int | None) -> None:
    if status is None:
        raise NodeAway("the node broke off before it said that it has the object")
    if status in STORED:
        return
    if 0xA700 <= status <= 0xA7FF or status == 0x0110:
        raise NodeAway(f"the node cannot store it just now (status {status:04X})")
    raise NodeRefused(f"the node does not store it (status {status:04X})")
