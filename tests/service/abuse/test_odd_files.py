"""Files that are odd and right are served rightly; archives of every kind are refused in words.

What is odd and wrong is in tests/malformed.py, and posted by tests/service/test_malformed_scans.py.
"""

import gzip
import io
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import nibabel as nib
import numpy as np
import pytest
from mutations import zip_of
from scan_files import nifti, png, zipped

VOXELS = np.random.default_rng(5).normal(100, 20, (20, 24, 13)).astype("f4")
STRAIGHT = np.diag([2.0, 3.0, 4.0, 1.0])
OBLIQUE = np.array([[1.9, 0.3, 0, -30], [-0.2, 2.9, 0.1, 12], [0, -0.1, 4.1, 7], [0, 0, 0, 1]])
FLIPPED = STRAIGHT @ np.array([[-1, 0, 0, 19], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def as_it_is(mask: np.ndarray) -> np.ndarray:
    return mask


@dataclass(frozen=True)
class Odd:
    """A file, the grid that its mask must have, and how its voxels lie against those of ``nifti(VOXELS)``."""

    data: bytes
    affine: np.ndarray | None = None  # STRAIGHT
    shape: tuple[int, ...] = VOXELS.shape
    same_as: Callable[[np.ndarray], np.ndarray] | None = as_it_is
    file_name: str = "scan.nii.gz"
    model: str = "small"


ODD = {
    "big-endian": Odd(nifti(VOXELS, byte_order=">")),
    "NIfTI-2": Odd(nifti(VOXELS, version=2)),
    "big-endian NIfTI-2": Odd(nifti(VOXELS, version=2, byte_order=">")),
    "compressed under a plain name": Odd(zipped(nifti(VOXELS)), file_name="scan.nii"),
    "called a PNG": Odd(nifti(VOXELS), file_name="scan.png"),
    "called nothing": Odd(nifti(VOXELS), file_name="a"),
    "two gzip members": Odd(zipped(nifti(VOXELS)[:5000]) + zipped(nifti(VOXELS)[5000:])),
    "a header extension": Odd(nifti(VOXELS, extension=bytes(64), vox_offset=352 + 64)),
    "a time axis of length one": Odd(nifti(VOXELS[..., None]), shape=VOXELS.shape),
    "slope 0": Odd(nifti(VOXELS, scl_slope=0)),
    "bad quaternion beside a good sform": Odd(nifti(VOXELS, quatern_b=2, qform_code=0)),
    "flipped axis": Odd(nifti(VOXELS[::-1], affine=FLIPPED), FLIPPED, same_as=lambda mask: mask[::-1]),
    "oblique": Odd(nifti(VOXELS, affine=OBLIQUE), OBLIQUE, same_as=None),
    "an axis of one voxel": Odd(nifti(VOXELS[:, :1]), shape=(20, 1, 13), same_as=None),
    "two dimensions": Odd(nifti(VOXELS[:, :, 0]), shape=(20, 24), same_as=None),
    "two channels": Odd(nifti(np.stack([VOXELS, VOXELS], -1)), same_as=None, model="pair"),
}


def encrypted() -> bytes:
    """With the flag that says so; what follows need not be, to be refused."""
    archive = bytearray(zip_of({"scan.nii": nifti(VOXELS)}))
    for mark, flags_at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        archive[archive.index(mark) + flags_at] |= 1
    return bytes(archive)


def with_a_link() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        link = zipfile.ZipInfo("scan.nii")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        target.writestr(link, "/etc/passwd")
    return archive.getvalue()


def unfolding() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("scan.nii", bytes(64 * 1024**2))
    return archive.getvalue()


NO_SERIES = ("scan_format_unknown", 415, "holds no DICOM image")
ZIPS = {  # and what they are answered with
    "empty": (zip_of({}), *NO_SERIES),
    "of a scan": (zip_of({"scan.nii": nifti(VOXELS)}), *NO_SERIES),
    "nested": (zip_of({"scans.zip": zip_of({"scan.nii": nifti(VOXELS)})}), *NO_SERIES),
    "encrypted": (encrypted(), "usage", 422, "encrypted"),
    "with a link": (with_a_link(), "usage", 422, "a link"),
    "that climbs out": (zip_of({"../../scan.nii": nifti(VOXELS)}), "usage", 422, "leads out"),
    "with odd names": (zip_of({"\x01\u202e/CON": b"", "/etc/passwd": b"", "C:\\scan.nii": b""}), "usage", 422, "name"),
    "of 20,000 entries": (zip_of({str(number): b"" for number in range(20_000)}), *NO_SERIES),
    "that unfolds a thousandfold": (unfolding(), "scan_too_large", 413, "100 times"),
}


def post(client: httpx.Client, data: bytes, file_name: str, model: str = "small") -> httpx.Response:
    return client.post("/v1/segmentations", params={"model": model}, files={"scan": (file_name, data)})


def mask_of(answer: httpx.Response) -> nib.Nifti1Image | nib.Nifti2Image:
    assert answer.status_code == 200, answer.text
    data = gzip.decompress(answer.content) if answer.content.startswith(b"\x1f\x8b") else answer.content
    return (nib.Nifti2Image if data.startswith((b"\x1c\2\0\0", b"\0\0\2\x1c")) else nib.Nifti1Image).from_bytes(data)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_scan_is_served_on_its_own_grid(client: httpx.Client, name: str) -> None:
    odd = ODD[name]
    mask = mask_of(post(client, odd.data, odd.file_name, odd.model))
    np.testing.assert_allclose(mask.affine, STRAIGHT if odd.affine is None else odd.affine, atol=1e-5)
    assert mask.shape == odd.shape
    if odd.same_as is not None:
        usual = mask_of(post(client, nifti(VOXELS), "scan.nii"))
        np.testing.assert_array_equal(np.asarray(mask.dataobj), odd.same_as(np.asarray(usual.dataobj)))


@pytest.mark.parametrize("name", ZIPS)
def test_an_archive_is_refused_in_words(client: httpx.Client, name: str) -> None:
    zipped, code, status, words = ZIPS[name]
    answer = post(client, zipped, "scans.zip")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert words in answer.json()["detail"]


def test_a_picture_called_nifti_is_served_as_a_picture(client: httpx.Client) -> None:
    rows = b"".join(bytes([0, *range(row, row + 40)]) for row in range(30))
    answer = post(client, png(40, 30, pixels=rows), "scan.nii.gz", "flat")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
