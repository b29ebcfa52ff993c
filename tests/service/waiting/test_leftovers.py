"""What a large scan held goes back to the system when it comes to no mask."""

import gzip
from http.client import HTTPConnection

import nibabel as nib
import numpy as np
import pytest
from bundles import small_bundle
from jobs import until
from process_memory import kilobytes
from servers import RunningServer, registry_without_shipped, serving

from skipseg.service.problems import CLIENT_GONE

SIDE = 420  # voxels: more than 1 GiB on its way
BOUNDARY = "b3f1"
SOME_KB = 150 * 2**10


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    data = tmp_path_factory.mktemp("data")
    bundle = small_bundle(tmp_path_factory.mktemp("bundle") / "small")
    registry_without_shipped(data).add(bundle.folder)
    with serving(data) as running:
        segmented(running, file_of(cube(40)))
        yield running


def cube(side: int) -> np.ndarray:
    voxels = np.full((side, side, side), 3, np.uint8)
    voxels[::2] = 7
    return voxels


def file_of(voxels: np.ndarray) -> bytes:
    return gzip.compress(nib.Nifti1Image(voxels, np.eye(4)).to_bytes(), 1)


def segmented(server: RunningServer, scan: bytes) -> int:
    with server.client() as client:
        return client.post("/v1/segmentations", files={"scan": ("scan.nii.gz", scan)}).status_code


def begun(server: RunningServer, scan: bytes) -> HTTPConnection:
    """A connection on which a scan was sent; its mask is not waited for."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="scan"; filename="scan.nii.gz"\r\n\r\n'
    connection = HTTPConnection(server.url.removeprefix("http://"))
    body = head.encode() + scan + f"\r\n--{BOUNDARY}--\r\n".encode()
    connection.request("POST", "/v1/segmentations", body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
    return connection


def in_flight(server: RunningServer) -> int:
    with server.client() as client:
        lines = client.get("/metrics").text.splitlines()
    return next(int(float(line.split()[1])) for line in lines if line.startswith("skipseg_scans_in_flight "))


def statuses(server: RunningServer) -> list[int]:
    """Of the segmentations that the log tells of."""
    return [line["status"] for line in server.lines() if line.get("route") == "/v1/segmentations"]


def test_a_scan_that_is_given_up_midway(server) -> None:
    before = kilobytes(server.pid, "VmRSS")
    connection = begun(server, file_of(cube(SIDE)))
    until(lambda: in_flight(server) == 1)
    until(lambda: kilobytes(server.pid, "VmRSS") > before + 2 * SOME_KB)
    connection.close()
    until(lambda: in_flight(server) == 0)
    until(lambda: CLIENT_GONE in statuses(server))
    until(lambda: kilobytes(server.pid, "VmRSS") < before + SOME_KB)
    assert segmented(server, file_of(cube(40))) == 200


def test_a_scan_that_cannot_be_segmented(server) -> None:
    before = kilobytes(server.pid, "VmRSS")
    assert segmented(server, file_of(np.full((SIDE, SIDE, SIDE), 7, np.uint8))) == 422
    until(lambda: kilobytes(server.pid, "VmRSS") < before + SOME_KB)
