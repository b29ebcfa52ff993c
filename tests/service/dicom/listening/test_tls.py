"""A listener that speaks TLS, and knows senders by their certificates."""

from pathlib import Path

import pytest
from certificates import Authority
from dicom_senders import MadeUp, needs_dcmtk, storescu, until

from skipseg.models.errors import UsageError
from skipseg.service.dicom.listening.senders import tls_of
from skipseg.service.settings import Settings

pytestmark = needs_dcmtk


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


def test_who_speaks_tls_may_send_and_who_does_not_may_not(listener, tmp_path, authority) -> None:
    cert, key = authority.issue("listener")
    parts, paths = listener(dicom_tls_cert=cert, dicom_tls_key=key), MadeUp().write(tmp_path / "sent", 2)
    with_tls = storescu(parts.port, *paths, more=("+tla", "+cf", str(authority.cert)))
    assert with_tls.returncode == 0, with_tls.stderr
    assert storescu(parts.port, *paths, more=("-to", "10")).returncode != 0
    until(lambda: parts.refused("tls") == 1)


def test_where_certificates_are_asked_for_a_sender_without_one_is_refused(listener, tmp_path, authority) -> None:
    cert, key = authority.issue("listener")
    parts = listener(dicom_tls_cert=cert, dicom_tls_key=key, dicom_tls_ca=authority.cert)
    paths, trust = MadeUp().write(tmp_path / "sent", 2), ("+cf", str(authority.cert))
    its_cert, its_key = authority.issue("sender")
    known = storescu(parts.port, *paths, more=("+tls", str(its_key), str(its_cert), *trust))
    assert known.returncode == 0, known.stderr
    kept = list(parts.rounds.inbox.root.rglob("*.dcm"))
    assert storescu(parts.port, *MadeUp().write(tmp_path / "b", 1), more=("+tla", *trust)).returncode != 0
    other_cert, other_key = Authority(tmp_path / "others").issue("sender")
    theirs = storescu(parts.port, *paths, more=("+tls", str(other_key), str(other_cert), *trust))
    assert theirs.returncode != 0
    assert list(parts.rounds.inbox.root.rglob("*.dcm")) == kept
    until(lambda: parts.refused("tls") == 2)


def test_a_sender_that_never_shakes_hands_keeps_nobody_waiting(listener, tmp_path, authority) -> None:
    import socket

    cert, key = authority.issue("listener")
    parts = listener(dicom_tls_cert=cert, dicom_tls_key=key)
    with socket.create_connection(("127.0.0.1", parts.port)):
        sent = storescu(parts.port, *MadeUp().write(tmp_path / "sent", 1), more=("+tla", "+cf", str(authority.cert)))
    assert sent.returncode == 0, sent.stderr


def test_files_that_are_no_certificates_are_refused(tmp_path, authority) -> None:
    cert, key = authority.issue("listener")
    (tmp_path / "no.pem").write_text("nothing")
    for wrong in (
        {"dicom_tls_cert": key},
        {"dicom_tls_key": tmp_path / "none.pem"},
        {"dicom_tls_ca": tmp_path / "no.pem"},
    ):
        with pytest.raises(UsageError, match="SKIPSEG_DICOM_TLS_CERT"):
            tls_of(Settings(**{"dicom_tls_cert": cert, "dicom_tls_key": key, **wrong}))
