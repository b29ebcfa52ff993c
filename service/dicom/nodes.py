"""The DICOM nodes that skipseg talks to: those that the settings name, and no others.

A secret is never in a setting: it is read from the file that the setting names, each time it is needed, so that it can
be renewed while the server runs.
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Mapping
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Discriminator, Field, FilePath, Tag, field_validator, model_validator

from skipseg.models.errors import UsageError
from skipseg.service.refusals import NodeRefused

# PS3.5, 6.2: up to 16 characters without backslash and control characters; spaces around them mean nothing
AeTitle = Annotated[str, Field(pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$")]
NodeName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class _Node(BaseModel):
    """Files for TLS: whom to trust (default: the system's authorities), and who we are where the node asks for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ca_file: FilePath | None = None
    cert_file: FilePath | None = None
    key_file: FilePath | None = None

    @model_validator(mode="after")
    def _certificate_is_whole(self) -> Self:
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("a key_file needs its cert_file")
        return self

    def tls_context(self) -> ssl.SSLContext:
        """How the node is to prove who it is, and how we do; raises ``NodeRefused`` for files that cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ssl.SSLError):
            raise NodeRefused("the node's ca_file, cert_file or key_file cannot be read; see docs/dicom.md") from None
        return context


class WebNode(_Node):
    """A node that is asked over HTTP (DICOMweb, PS3.18)."""

    url: str
    token_file: FilePath | None = None
    user: str | None = None
    password_file: FilePath | None = None

    @field_validator("url")
    @classmethod
    def _url_is_a_root(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("the url of a node is where its DICOMweb begins, such as https://pacs.example/dicom-web")
        if parts.username is not None or parts.password is not None:
            raise ValueError("the url of a node holds no user: give user and password_file, or token_file")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file belong together")
        if self.user is not None and self.token_file is not None:
            raise ValueError("give token_file, or user and password_file, and not both")
        return self

    def credentials(self) -> dict[str, str]:
        """The header that says who we are, if any; raises ``NodeRefused`` for a file that cannot be read."""
        if self.token_file is not None:
            return {"Authorization": f"Bearer {_secret(self.token_file)}"}
        if self.user is not None and self.password_file is not None:
            pair = f"{self.user}:{_secret(self.password_file)}".encode()
            return {"Authorization": f"Basic {b64encode(pair).decode()}"}
        return {}


class DimseNode(_Node):
    """A node that is sent to over DICOM's own protocol (PS3.8)."""

    ae: AeTitle
    host: str = Field(min_length=1, max_length=253)
    port: int = Field(ge=1, le=65535)
    tls: bool = False


def _kind(given: object) -> str:
    """Which of the two is meant, so that a fault is told of that one."""
    is_dimse = "ae" in given if isinstance(given, Mapping) else isinstance(given, DimseNode)
    return "dimse" if is_dimse else "web"


Node = Annotated[Annotated[WebNode, Tag("web")] | Annotated[DimseNode, Tag("dimse")], Discriminator(_kind)]
Nodes = Mapping[str, Node]


def node_named(nodes: Nodes, name: str) -> Node:
    """Raises ``UsageError`` for a node that the settings do not name."""
    if name not in nodes:
        raise UsageError(f"there is no such DICOM node; SKIPSEG_DICOM_NODES names {_listed(nodes)}")
    return nodes[name]


def web_node_named(nodes: Nodes, name: str | None) -> tuple[str, WebNode]:
    """The node to fetch from, and its name: without a ``name`` the only one there is; raises ``UsageError``."""
    web = {known: node for known, node in nodes.items() if isinstance(node, WebNode)}
    if name is None and len(web) != 1:
        raise UsageError(f"name the node to fetch from; SKIPSEG_DICOM_NODES has these with a url: {_listed(web)}")
    chosen = name if name is not None else next(iter(web))
    node = node_named(nodes, chosen)
    if not isinstance(node, WebNode):
        raise UsageError(f"scans are fetched over DICOMweb, from a node with a url: {_listed(web)}")
    return chosen, node


def _listed(nodes: Nodes) -> str:
    return ", ".join(sorted(nodes)) or "none"


def _secret(file: FilePath) -> str:
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        raise NodeRefused("the file with the node's secret cannot be read; see docs/dicom.md") from None
    if not secret.isprintable():
        raise NodeRefused("the file with the node's secret holds more than one line; see docs/dicom.md")
    return secret
