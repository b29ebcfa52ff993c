"""What a PACS may answer, and what is made of it."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from own_certificate import certificate_for

from skipseg.models.errors import ScanTooLarge, ScanUnusable, SkipsegError
from skipseg.models.scans.dicom.choice import SeriesRule
from skipseg.models.scans.limits import DEFAULT_LIMITS, Limits
from skipseg.service.dicom.nodes import WebNode
from skipseg.service.dicom.study import bring, the_series
from skipseg.service.dicom.web import Listed, WebClient
from skipseg.service.refusals import NodeAway, NodeRefused, SeriesUnknown

SERIES = b'[{"0020000E": {"Value": ["1.2.3"]}, "00080060": {"Value": ["MR"]}, "00201209": {"Value": [%d]}}]'
HEAD = b"--edge\r\nContent-Type: application/dicom\r\n\r\n"
ANY = SeriesRule()

Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def answering(answer: Callable[[str], Answer], tls: tuple[Path, Path] | None = None) -> Iterator[str]:
    """A server that answers whatever it is asked by ``answer`` of the path; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answer(self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *given: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{'http' if tls is None else 'https'}://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def a_series(announced: int, files: list[bytes], status: int = 200) -> Callable[[str], Answer]:
    """A node with one series, of which it says that it has so many images."""

    def answer(path: str) -> Answer:
        if path.startswith("/studies/1.2/series?"):
            return 200, {"Content-Type": "application/dicom+json"}, SERIES % announced
        body = b"".join(HEAD + file + b"\r\n" for file in files) + b"--edge--"
        return status, {"Content-Type": 'multipart/related; type="application/dicom"; boundary=edge'}, body

    return answer


def series_of(url: str, **more: Path) -> list[Listed]:
    with WebClient(WebNode(url=url, **more)) as client:
        return client.series_of("1.2", "1.2.3")


def brought(
    url: str, into: Path, limits: Limits = DEFAULT_LIMITS, check: Callable[[], None] = lambda: None
) -> set[bytes]:
    bring(WebNode(url=url), "1.2", "1.2.3", ANY, into, limits, check)
    return {file.read_bytes() for file in into.iterdir()}


def test_a_series_is_there_when_all_of_it_is(tmp_path: Path) -> None:
    with answering(a_series(2, [b"first", b"second"])) as url:
        assert brought(url, tmp_path / "series") == {b"first", b"second"}
    assert [path.name for path in tmp_path.iterdir()] == ["series"]


def test_a_series_that_lacks_images_is_not_used(tmp_path: Path) -> None:
    with answering(a_series(3, [b"first", b"second"])) as url, pytest.raises(NodeAway, match="2 of the 3"):
        brought(url, tmp_path / "series")
    assert list(tmp_path.iterdir()) == []


def test_a_series_over_the_limit_leaves_nothing(tmp_path: Path) -> None:
    with answering(a_series(1, [b"x" * 10_000])) as url, pytest.raises(ScanTooLarge):
        brought(url, tmp_path / "series", Limits(file_bytes=5000))
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_wants_any_more_is_not_fetched_on(tmp_path: Path) -> None:
    class NotWanted(Exception):
        pass

    def check() -> None:
        raise NotWanted

    with answering(a_series(1, [b"x"])) as url, pytest.raises(NotWanted):
        brought(url, tmp_path / "series", check=check)
    assert list(tmp_path.iterdir()) == []


def test_a_node_that_has_it_in_its_own_form_alone_is_asked_for_that(tmp_path: Path) -> None:
    asked = list[str]()

    def answer(path: str) -> Answer:
        whole = a_series(1, [b"first"])(path)
        if path.endswith("/series/1.2.3"):
            asked.append(path)
            return (406, {}, b"") if len(asked) == 1 else whole
        return whole

    with answering(answer) as url:
        assert brought(url, tmp_path / "series") == {b"first"}


def test_a_node_is_not_followed_elsewhere() -> None:
    asked = list[str]()

    def answer(path: str) -> Answer:
        asked.append(path)
        return 302, {"Location": "/elsewhere"}, b""

    with answering(answer) as url, pytest.raises(NodeRefused, match="302"):
        series_of(url)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, NodeRefused), (403, NodeRefused), (418, NodeRefused), (429, NodeAway), (500, NodeAway), (503, NodeAway)],
)
def test_what_may_pass_is_told_from_what_will_not(status: int, error: type[SkipsegError]) -> None:
    with (
        answering(lambda path: (status, {"Retry-After": "7"}, b"Doe^Jane")) as url,
        WebClient(WebNode(url=url)) as client,
        pytest.raises(error) as told,
    ):
        client.series_of("1.2")
    assert "Doe" not in str(told.value)
    assert getattr(told.value, "retry_after_s", 7) == 7


@pytest.mark.parametrize("body", [b"<html>", b"[1, 2]", b'"text"', b"{", b"\xff\xfe"])
def test_an_answer_that_is_no_json_of_dicom_is_refused(body: bytes) -> None:
    with answering(lambda path: (200, {}, body)) as url, pytest.raises(NodeRefused):
        series_of(url)


@pytest.mark.parametrize(
    "found", [b"{}", b'[{"0020000E": {}}]', b'[{"0020000E": 3}]', b'[{"0020000E": {"Value": []}}]']
)
def test_an_answer_that_lacks_what_it_should_have_is_no_series(found: bytes) -> None:
    with answering(lambda path: (200, {}, found)) as url:
        assert series_of(url) == []


def test_a_node_whose_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    files = certificate_for("localhost", tmp_path)
    with answering(lambda path: (200, {}, b"[]"), files) as url:
        with pytest.raises(NodeRefused, match="certificate"):
            series_of(url)
        assert series_of(url, ca_file=files[0]) == []


def listed(uid: str, modality: str = "MR", description: str = "") -> Listed:
    return Listed(uid, modality, description, None)


def test_of_a_study_the_only_series_of_images_is_taken() -> None:
    assert the_series([listed("1.1"), listed("1.2", "SEG"), listed("1.3", "SR")], ANY).uid == "1.1"


def test_of_several_the_models_rule_picks() -> None:
    found = [listed("1.1", "CT"), listed("1.2", description="T1 PRE"), listed("1.3", description="Ax T1 post Gd")]
    assert the_series(found, SeriesRule("CT")).uid == "1.1"
    assert the_series(found, SeriesRule("MR", "t1 post")).uid == "1.3"
    with pytest.raises(ScanUnusable, match=r"2 of .* 1\.2 \(MR\); 1\.3 \(MR\)"):
        the_series(found, SeriesRule("MR"))
    with pytest.raises(ScanUnusable, match="none of"):
        the_series(found, SeriesRule("PT"))


def test_a_message_repeats_nothing_that_somebody_typed() -> None:
    with pytest.raises(ScanUnusable) as told:
        the_series([listed("Doe^Jane", "Doe^Jane", "Doe^Jane"), listed("1.2", "x" * 50)], ANY)
    assert "Doe" not in str(told.value)
    assert "x" * 20 not in str(told.value)


def test_no_series_is_told_as_that() -> None:
    with pytest.raises(SeriesUnknown):
        the_series([], ANY)
