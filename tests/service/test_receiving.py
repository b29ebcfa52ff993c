"""One large file of a form, wherever the network cuts it into pieces."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from skipseg.models.errors import UsageError
from skipseg.service.receiving import FLUSH_BYTES, Received, receive_file

BOUNDARY = "b0undary"


def part(name: str, content: bytes, filename: str | None = "scan.nii.gz") -> bytes:
    named = "" if filename is None else f'; filename="{filename}"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n'
    return head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def received(blocks: Sequence[bytes], to: Path, kind: str = f"multipart/form-data; boundary={BOUNDARY}") -> Received:
    """What a request with a body of these blocks leaves."""
    messages = [{"type": "http.request", "body": block, "more_body": True} for block in blocks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode("latin-1"))]}

    async def receive() -> dict:
        return messages.pop(0)

    to.unlink(missing_ok=True)
    return asyncio.run(receive_file(Request(scope, receive), to))


# Bytes that look like the boundary, and nearly like it
CONTENT = b"voxels\r\n--b0undar\r\n--b0und\r\r\n--" + bytes(range(256)) + b"\r\n"


def test_a_body_cut_in_two_at_any_byte_gives_the_same_file(tmp_path) -> None:
    body = form(part("note", b"hello", None), part("file", CONTENT), part("other", b"\r\n--"))
    for at in range(len(body) + 1):
        told = received([body[:at], body[at:]], tmp_path / "content")
        assert (tmp_path / "content").read_bytes() == CONTENT
        assert told == Received("scan.nii.gz", hashlib.sha256(CONTENT).hexdigest())


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", b"b0undary", b"\r\n--b0undar", b"x"])).map(b"".join),
    sizes=st.lists(st.integers(1, 40), min_size=1),
)
def test_any_content_in_any_pieces_arrives_as_it_was(tmp_path, content, sizes) -> None:
    if f"\r\n--{BOUNDARY}".encode() in b"\r\n" + content:
        return  # a sender would have chosen another boundary
    body, blocks, at = form(part("file", content)), [], 0
    while at < len(body):
        size = sizes[len(blocks) % len(sizes)]
        blocks.append(body[at : at + size])
        at += size
    assert received(blocks, tmp_path / "content").sha256 == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "content").read_bytes() == content


def test_a_file_larger_than_what_is_gathered_arrives_whole(tmp_path) -> None:
    content = bytes(range(256)) * (FLUSH_BYTES // 100)
    body = form(part("file", content))
    received([body[at : at + 65536] for at in range(0, len(body), 65536)], tmp_path / "content")
    assert (tmp_path / "content").read_bytes() == content


@pytest.mark.parametrize("files", [0, 2, 3])
def test_a_form_must_have_exactly_one_file(tmp_path, files) -> None:
    with pytest.raises(UsageError, match=f"exactly one .* it has {files}"):
        received([form(part("scan", b"x"), *[part("file", b"x")] * files)], tmp_path / "content")


def test_a_field_that_is_no_file_does_not_count(tmp_path) -> None:
    with pytest.raises(UsageError, match="it has 0"):
        received([form(part("file", b"x", None))], tmp_path / "content")


def test_a_body_that_is_cut_short_anywhere_is_refused(tmp_path) -> None:
    body = form(part("file", b"voxels" * 10))
    for at in range(len(body) - 4):  # the last two dashes and the line's end may be missing
        with pytest.raises(UsageError):
            received([body[:at]], tmp_path / "content")


@pytest.mark.parametrize(
    "kind",
    ["application/json", "multipart/form-data", "multipart/form-data; boundary=", "", "multipart/mixed; boundary=x"],
)
def test_what_is_no_form_is_told_how_to_be_one(tmp_path, kind) -> None:
    with pytest.raises(UsageError, match="curl -F file=@FILE"):
        received([form(part("file", b"x"))], tmp_path / "content", kind)


def test_a_body_that_is_none_of_its_type_is_refused(tmp_path) -> None:
    for body in (b"not a form at all", b"--other\r\n\r\n", form(part("file", b"x"))[3:]):
        with pytest.raises(UsageError):
            received([body], tmp_path / "content")


def test_a_header_without_end_is_refused_before_it_fills_the_memory(tmp_path) -> None:
    body = form(part("file", b"x", "n" * 100_000))
    with pytest.raises(UsageError):
        received([body[at : at + 100] for at in range(0, len(body), 100)], tmp_path / "content")


@pytest.mark.parametrize("name", ["Müller.nii.gz", "a b;c.nii.gz", "..", "x'y.nii"])
def test_a_name_arrives_as_it_was_sent(tmp_path, name) -> None:
    assert received([form(part("file", b"x", name))], tmp_path / "content").name == name
