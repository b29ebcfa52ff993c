"""A disk that is nearly full takes no more uploads, and everything else goes on."""

import shutil
import socket
from pathlib import Path

import httpx
import pytest
from bundles import small_bundle
from servers import registry_without_shipped, serving

from skipseg.service.middleware.disk import check_disk
from skipseg.service.refusals import DiskFull

MORE_THAN_THERE_IS = 1 << 60
GIB = 2**30


def test_an_upload_is_refused_while_the_disk_is_short_and_nothing_else_is(tmp_path: Path, scan: bytes) -> None:
    registry_without_shipped(tmp_path).add(small_bundle(tmp_path / "bundle").folder)
    with serving(tmp_path, min_free_bytes=MORE_THAN_THERE_IS) as server, server.client() as client:
        full = client.post("/v1/segmentations", files={"scan": scan})
        assert full.headers["Content-Type"] == "application/problem+json"
        assert (full.status_code, full.json()["code"]) == (507, "disk_full")
        assert "SKIPSEG_MIN_FREE_BYTES" in full.json()["detail"]
        assert server.line_of(full)["code"] == "disk_full"
        assert client.post("/v1/segmentations", content=iter([b"no length"])).status_code == 507
        assert client.get("/v1/models").status_code == 200
        assert client.post("/v1/segmentations", json={}).json()["code"] == "usage"


def test_what_is_coming_counts_beside_what_must_stay_free(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    check_disk([tmp_path / "not" / "there" / "yet"], least=0, coming=free // 2)
    with pytest.raises(DiskFull, match="are coming"):
        check_disk([tmp_path], least=free // 2, coming=free)


def test_uploads_that_were_announced_and_never_came_refuse_nobody(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    if free < 8 * GIB:
        pytest.skip("the disk has less than 8 GiB free")
    with serving(tmp_path, until_ready=False, min_free_bytes=free - 6 * GIB) as server:
        assert [told_of_an_upload(server.url, 3 * GIB) for _ in range(4)] == [100] * 4
        assert told_of_an_upload(server.url, 9 * GIB) == 507


def told_of_an_upload(url: str, count: int) -> int:
    """The status for one of so many bytes, which is given up when the server says that it may come."""
    address = httpx.URL(url)
    kind = "multipart/form-data; boundary=x"
    head = f"POST /v1/uploads HTTP/1.1\r\nHost: {address.netloc.decode()}\r\nContent-Type: {kind}\r\n"
    with socket.create_connection((address.host, address.port or 0), timeout=60) as connection:
        connection.sendall(f"{head}Content-Length: {count}\r\nExpect: 100-continue\r\n\r\n".encode())
        return int(connection.makefile("rb").readline().split()[1])
