"""Who may send: AE titles, and the addresses that each may come from. A title alone proves nothing."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

from skipseg.models.errors import UsageError
from skipseg.service.running.listener import is_loopback
from skipseg.service.settings import Settings


class Senders:
    """``allowed`` names networks by AE title; empty: anybody who can connect."""

    def __init__(self, allowed: Mapping[str, Sequence[str]]) -> None:
        self._networks = {
            title: [ipaddress.ip_network(network, strict=False) for network in networks]
            for title, networks in allowed.items()
        }

    def include_address(self, address: str) -> bool:
        """Whether somebody may send from an address."""
        return not self._networks or any(self.include(title, address) for title in self._networks)

    def include(self, title: str, address: str) -> bool:
        """Whether this one may send from there."""
        if not self._networks:
            return True
        found = _plain(address)
        return any(found in network for network in self._networks.get(title, ()))


def refuse_open(settings: Settings) -> None:
    """Raise ``UsageError`` for an address that others reach while nobody says who may send."""
    if settings.dicom_senders or is_loopback(settings.dicom_host):
        return
    raise UsageError(
        f"{settings.dicom_host!r} can be reached from other machines, and SKIPSEG_DICOM_SENDERS does not say who may "
        "send; name their AE titles and addresses there, or listen on 127.0.0.1"
    )


def tls_of(settings: Settings) -> ssl.SSLContext | None:
    """How the listener speaks TLS, if it does; raises ``UsageError`` for files that cannot be used."""
    if settings.dicom_tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.dicom_tls_cert, settings.dicom_tls_key, password="")
        if settings.dicom_tls_ca is not None:
            _ask_for_certificates(context, settings.dicom_tls_ca)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "no PEM, or locked by a password"
        raise UsageError(f"a file of SKIPSEG_DICOM_TLS_CERT, _KEY or _CA cannot be used: {reason}") from None
    return context


def _ask_for_certificates(context: ssl.SSLContext, authorities: Path) -> None:
    context.load_verify_locations(authorities)
    context.verify_mode = ssl.CERT_REQUIRED


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IPv4 address also where it came in as ::ffff:10.0.3.17."""
    found = ipaddress.ip_address(address.partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found
