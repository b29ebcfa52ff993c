"""Bodies of several files, as nodes send them: written to disk whole, in blocks of any size, and within bounds."""

from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skipseg.models.errors import ScanTooLarge
from skipseg.models.scans.limits import DEFAULT_LIMITS, Limits
from skipseg.service.dicom.multipart import FileAsPart, PartsToFiles
from skipseg.service.refusals import NodeAway, NodeRefused

TYPE = 'multipart/related; type="application/dicom"; boundary=edge'


def body_of(*files: bytes) -> bytes:
    return (
        b"".join(b"--edge\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files) + b"--edge--"
    )


def received(body: bytes, folder: Path, block: int = 7, limits: Limits = DEFAULT_LIMITS) -> set[bytes]:
    parts = PartsToFiles(TYPE, folder, limits)
    try:
        for start in range(0, len(body), block):
            parts.write(body[start : start + block])
    finally:
        parts.end()
    parts.close()
    return {file.read_bytes() for file in folder.iterdir()}


@given(
    files=st.sets(st.binary(max_size=200).filter(lambda content: b"--edge" not in content), min_size=1, max_size=5),
    block=st.integers(1, 300),
)
def test_every_file_arrives_as_it_was_sent_however_the_body_is_cut(
    tmp_path_factory: pytest.TempPathFactory, files: set[bytes], block: int
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    assert received(body_of(*files), folder, block) == files
    assert {file.stem for file in folder.iterdir()} == {sha256(content).hexdigest() for content in files}


@pytest.mark.parametrize("cut", [1, 8, 20, 60, 75, 79])
def test_a_body_that_breaks_off_is_never_taken_for_a_whole_one(tmp_path: Path, cut: int) -> None:
    whole = body_of(b"first", b"second")
    with pytest.raises((NodeAway, NodeRefused)):
        received(whole[:-cut], tmp_path)


def test_a_body_ends_as_soon_as_there_is_too_much_of_it(tmp_path: Path) -> None:
    with pytest.raises(ScanTooLarge, match="1,000 bytes"):
        received(body_of(b"x" * 5000), tmp_path, limits=Limits(file_bytes=1000))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 1000


@pytest.mark.parametrize("body", [b"", b"no boundary", b"<html>" * 50])
def test_something_else_is_refused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises((NodeAway, NodeRefused)):
        received(body, tmp_path)


@pytest.mark.parametrize("kind", ["", "text/html", "multipart/related", "multipart/form-data; boundary=edge"])
def test_another_kind_of_answer_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(NodeRefused):
        PartsToFiles(kind, tmp_path, Limits())


def test_what_is_sent_reads_back(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "parts"
    file.write_bytes(b"DICOM" * 1000)
    folder.mkdir()
    body = FileAsPart(file)
    content = b"".join(body)
    assert len(content) == body.length
    parts = PartsToFiles(body.content_type, folder, Limits())
    parts.write(content)
    parts.close()
    assert [path.read_bytes() for path in folder.iterdir()] == [file.read_bytes()]
