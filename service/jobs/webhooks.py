"""Telling another server that a job has ended: signed, and never an address that only this machine should reach.

    X-Skipseg-Signature: t=1767225600,v1=HEX

HEX is the HMAC-SHA256 (RFC 2104) of ``t``, a full stop and the body, under the secret that both sides know.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from time import time
from typing import Any
from urllib.parse import urlsplit

import httpcore
from httpcore import SyncBackend
from pydantic import BaseModel, ConfigDict

from skipseg.models.errors import UsageError
from skipseg.service.jobs.records import Counts, Job, state_of

SIGNATURE = "X-Skipseg-Signature"
PATIENCE_S = 10.0
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits


class WebhookFailed(Exception):
    """The message was not taken; it may be sent again."""


class Message(BaseModel):
    """What is told: nothing that a scan's name or content could be read from."""

    model_config = ConfigDict(frozen=True)

    event: str = "job.ended"
    job: str
    kind: str
    state: str
    done: int
    failed: int
    total: int

    @classmethod
    def of(cls, job: Job, counts: Counts) -> Message:
        state = state_of(job, counts)
        return cls(job=job.id, kind=job.kind, state=state, done=counts.done, failed=counts.failed, total=job.total)


def check_url(url: str, trusted: Sequence[str]) -> None:
    """Raise ``UsageError`` for a URL that nothing is sent to; addresses are looked up when something is sent."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise UsageError("a webhook is an https URL, such as https://example.org/hook") from None
    plain_is_fine = parts.hostname in trusted
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.password:
        raise UsageError("a webhook is an https URL without a user in it, such as https://example.org/hook")
    if parts.scheme == "http" and not plain_is_fine:
        raise UsageError("a webhook is an https URL; plain http is only for hosts in SKIPSEG_WEBHOOK_TRUSTED_HOSTS")


def send(url: str, message: Message, secret: str, trusted: Sequence[str]) -> None:
    """Deliver a message; raises ``WebhookFailed`` unless it is answered with a status of 200 to 299."""
    body = message.model_dump_json().encode()
    headers = [("Content-Type", "application/json"), (SIGNATURE, signature(body, secret, int(time())))]
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), PATIENCE_S)
    try:
        with httpcore.ConnectionPool(network_backend=_Guarded(trusted)) as pool:
            limits = {"timeout": timeouts}
            with pool.stream("POST", url, headers=headers, content=body, extensions=limits) as answer:
                status = answer.status  # whatever else it has to say, nobody reads it
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
        raise WebhookFailed(type(error).__name__) from None
    if not 200 <= status < 300:
        raise WebhookFailed(f"status {status}")


def signature(body: bytes, secret: str, at: int) -> str:
    """The value of the header ``X-Skipseg-Signature``."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={digest.hexdigest()}"


class _Guarded(SyncBackend):
    """Connects to the very address that was looked at, so that a name cannot change what it means in between."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self.trusted = trusted

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        if host not in self.trusted and not all(_is_public(address) for address in addresses):
            raise httpcore.ConnectError("the host has a private address")
        return super().connect_tcp(addresses[0], port, timeout, local_address, socket_options)


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inside = (
            found.ipv4_mapped or found.sixtofour or (found in NAT64 and ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
        )
        found = inside or found
    return found.is_global and not found.is_multicast
