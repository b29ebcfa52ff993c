"""DICOM nodes: which there are, and how they are told who asks."""

import json
from pathlib import Path

import pytest

from skipseg.models.errors import UsageError
from skipseg.service.dicom.nodes import DimseNode, WebNode, node_named, web_node_named
from skipseg.service.refusals import NodeRefused
from skipseg.service.settings import Settings, load_settings

PACS = {"url": "https://pacs.example/dicom-web/"}
ARCHIVE = {"ae": "ARCHIVE", "host": "10.0.0.7", "port": 11112, "tls": True}


def settings_with(monkeypatch: pytest.MonkeyPatch, nodes: dict[str, dict[str, object]]) -> Settings:
    monkeypatch.setenv("SKIPSEG_DICOM_NODES", json.dumps(nodes))
    return load_settings()


def test_nodes_come_from_the_environment_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = settings_with(monkeypatch, {"pacs": PACS, "archive": ARCHIVE}).dicom_nodes
    assert nodes["pacs"] == WebNode(url="https://pacs.example/dicom-web")
    assert nodes["archive"] == DimseNode(ae="ARCHIVE", host="10.0.0.7", port=11112, tls=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://pacs.example"},
        {"url": "https://"},
        {"url": "https://user:secret@pacs.example"},
        {"url": "https://pacs.example/?next=https://elsewhere.example"},
        {**PACS, "password": "in the open"},
        {**PACS, "user": "nobody"},
        {**PACS, "token_file": "/no/such/file"},
        {**ARCHIVE, "ae": "an AE title too long"},
        {**ARCHIVE, "ae": "BACK\\SLASH"},
        {**ARCHIVE, "port": 0},
    ],
)
def test_a_node_that_could_not_be_used_safely_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, wrong: dict[str, object]
) -> None:
    with pytest.raises(UsageError, match="dicom_nodes"):
        settings_with(monkeypatch, {"pacs": wrong})


def test_a_secret_that_was_renewed_counts_from_the_next_question_on(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    node = WebNode(url="https://pacs.example", token_file=file)
    assert node.credentials() == {"Authorization": "Bearer first"}
    file.write_text("second")
    assert node.credentials() == {"Authorization": "Bearer second"}


def test_a_user_is_told_as_browsers_do(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("open sesame\n")
    node = WebNode(url="https://pacs.example", user="Aladdin", password_file=file)  # RFC 7617's own example
    assert node.credentials() == {"Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"two\nlines"])
def test_a_secret_that_cannot_be_read_is_told_without_it(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"good")
    node = WebNode(url="https://pacs.example", token_file=file)
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(NodeRefused) as refusal:
        node.credentials()
    assert str(file) not in str(refusal.value)
    assert "lines" not in str(refusal.value).replace("more than one line", "")


def test_only_nodes_that_are_named_can_be_asked() -> None:
    nodes = {"pacs": WebNode.model_validate(PACS), "archive": DimseNode.model_validate(ARCHIVE)}
    assert node_named(nodes, "archive") is nodes["archive"]
    assert web_node_named(nodes, None) == ("pacs", nodes["pacs"])
    for unknown in ("elsewhere", "https://elsewhere.example"):
        with pytest.raises(UsageError, match="archive, pacs"):
            node_named(nodes, unknown)
    with pytest.raises(UsageError, match="with a url: pacs"):
        web_node_named(nodes, "archive")


def test_of_two_pacs_one_must_be_named() -> None:
    node = WebNode.model_validate(PACS)
    with pytest.raises(UsageError, match="one, two"):
        web_node_named({"one": node, "two": node}, None)
    with pytest.raises(UsageError, match="none"):
        web_node_named({}, None)
