"""Results over DICOM's own protocol: what a node may say, and what is made of it."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dicom_series
import pytest
from own_certificate import certificate_for
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE, evt

from skipseg.models.errors import SkipsegError
from skipseg.service.dicom.dimse import store
from skipseg.service.dicom.nodes import DimseNode
from skipseg.service.refusals import NodeAway, NodeRefused


@contextmanager
def node(
    status: int = 0, takes: str = CTImageStorage, title: str = "ARCHIVE", tls: tuple[Path, Path] | None = None
) -> Iterator[tuple[DimseNode, list[str]]]:
    """One that answers every C-STORE with a status; and the instances that came."""
    came = list[str]()

    def handle(event: evt.Event) -> int:
        came.append(event.request.AffectedSOPInstanceUID)
        return status

    entity = AE(ae_title=title)
    entity.require_called_aet = True
    entity.add_supported_context(takes, ExplicitVRLittleEndian)
    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, handle)], ssl_context=context
    )
    try:
        yield DimseNode(ae="ARCHIVE", host="localhost", port=server.server_address[1]), came
    finally:
        server.shutdown()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return next(dicom_series.into(tmp_path / "series", dicom_series.series()[:1]).iterdir())


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0x0111])
def test_a_node_that_has_it_has_it(file: Path, status: int) -> None:
    with node(status) as (archive, came):
        store(archive, "SKIPSEG", file)
    assert len(came) == 1


@pytest.mark.parametrize(
    ("status", "error"), [(0xA700, NodeAway), (0x0110, NodeAway), (0xA900, NodeRefused), (0xC000, NodeRefused)]
)
def test_what_may_pass_is_told_from_what_will_not(file: Path, status: int, error: type[SkipsegError]) -> None:
    with node(status) as (archive, _), pytest.raises(error, match=f"{status:04X}"):
        store(archive, "SKIPSEG", file)


def test_a_node_that_does_not_take_such_objects_refuses(file: Path) -> None:
    with node(takes=MRImageStorage) as (archive, came), pytest.raises(NodeRefused, match="SOP class"):
        store(archive, "SKIPSEG", file)
    assert came == []


def test_a_node_that_is_called_otherwise_refuses(file: Path) -> None:
    with node(title="OTHER") as (archive, _), pytest.raises(NodeRefused, match="AE titles"):
        store(archive, "SKIPSEG", file)


def test_a_node_that_does_not_listen_is_away(file: Path) -> None:
    with node() as (archive, _):
        pass
    with pytest.raises(NodeAway):
        store(archive, "SKIPSEG", file)


def test_over_tls_only_a_node_that_somebody_vouches_for_gets_anything(file: Path, tmp_path: Path) -> None:
    files = certificate_for("localhost", tmp_path)
    with node(tls=files) as (archive, came):
        secured = archive.model_copy(update={"tls": True})
        with pytest.raises(NodeAway):
            store(secured, "SKIPSEG", file)
        assert came == []
        store(secured.model_copy(update={"ca_file": files[0]}), "SKIPSEG", file)
    assert len(came) == 1
