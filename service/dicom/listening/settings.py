"""What can be set about the listener; a part of ``Settings``."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings

from skipseg.service.dicom.nodes import AeTitle


class ListenerSettings(BaseSettings):
    """The settings of ``skipseg dicom listen``."""

    dicom_host: str = Field(
        default="127.0.0.1",
        description="Address that `skipseg dicom listen` listens on. One that other machines reach needs "
        "a list of who may send.",
    )
    dicom_port: int = Field(
        default=11112,
        ge=0,
        le=65535,
        description="TCP port that `skipseg dicom listen` listens on; 0 takes a free one.",
    )
    dicom_senders: dict[AeTitle, tuple[str, ...]] = Field(
        default_factory=dict,
        description="JSON: AE titles that may send, and for each the addresses or networks it may send from, as in "
        '`{"CT1": ["10.0.3.17"], "PACS": ["10.0.4.0/28"]}`. Empty: any title, from this machine.',
    )
    dicom_rules: Path | None = Field(
        default=None, description="TOML or JSON file of rules: which series go to which model, and where results go."
    )
    dicom_quiet_s: float = Field(
        default=30.0, gt=0, le=3600, description="Seconds without a further instance after which a series is complete."
    )
    dicom_keep_hours: float = Field(
        default=24.0,
        gt=0,
        description="Hours after which a series that no rule takes, or that could not be ordered, is deleted.",
    )
    dicom_associations: int = Field(
        default=10, ge=1, le=200, description="Most associations at once; a further one is rejected for now."
    )
    dicom_tls_cert: Path | None = Field(
        default=None, description="PEM file with the listener's certificate (and its chain): it then speaks TLS alone."
    )
    dicom_tls_key: Path | None = Field(default=None, description="PEM file with the key of that certificate.")
    dicom_tls_ca: Path | None = Field(
        default=None,
        description="PEM file with the authorities whose certificates senders must show. Empty: none is asked for.",
    )
    dicom_metrics_port: int = Field(
        default=0, ge=0, le=65535, description="Port on loopback where the listener tells its metrics. 0: nowhere."
    )

    @field_validator("dicom_senders")
    @classmethod
    def _senders_have_addresses(cls, senders: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for title, addresses in senders.items():
            if not addresses:
                raise ValueError(f"name the addresses that {title} sends from, such as 10.0.3.17 or 10.0.4.0/28")
            for address in addresses:
                ipaddress.ip_network(address, strict=False)
        return senders

    @model_validator(mode="after")
    def _tls_is_whole(self) -> ListenerSettings:
        if (self.dicom_tls_cert is None) != (self.dicom_tls_key is None):
            raise ValueError("SKIPSEG_DICOM_TLS_CERT and SKIPSEG_DICOM_TLS_KEY are given together, or neither")
        if self.dicom_tls_ca is not None and self.dicom_tls_cert is None:
            raise ValueError("SKIPSEG_DICOM_TLS_CA needs SKIPSEG_DICOM_TLS_CERT and SKIPSEG_DICOM_TLS_KEY")
        return self
