"""What can be set about DICOM over networks."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from skipseg.service.dicom.nodes import AeTitle, Node, NodeName


class DicomSettings(BaseSettings):
    """A part of ``Settings``."""

    dicom_nodes: dict[NodeName, Node] = Field(
        default_factory=dict,
        description="JSON: the PACS and other DICOM nodes that scans are fetched from and results are sent to, by the "
        "names that orders use. No other address is ever called.",
    )
    dicom_ae: AeTitle = Field(
        default="SKIPSEG", description="The application entity title that skipseg calls itself among DICOM nodes."
    )
    dicom_fetch_hours: float = Field(
        default=1.0, ge=0, description="Hours that a node which does not answer is waited for when a scan is fetched."
    )
    dicom_send_hours: float = Field(
        default=72.0, ge=0, description="Hours for which a result that a node does not take is sent again and again."
    )
