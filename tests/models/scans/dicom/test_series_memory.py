"""A CT-sized series takes little more memory than its voxels, as NIfTI does: measured in processes of their own."""

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicom_series import series, stored
from pydicom.uid import generate_uid

PROGRAM = """
import sys
from pathlib import Path
from skipseg.models.scans.reader import read_scan
volume = read_scan(Path(sys.argv[1]))
print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]), *volume.voxels.shape)
"""
SLICES = 600


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``series/`` and ``ct.nii``, of the same voxels."""
    folder, uid = tmp_path_factory.mktemp("ct"), generate_uid()
    (folder / "series").mkdir()
    plane = np.random.default_rng(0).integers(-1000, 1500, (512, 512)).astype(np.int16)
    frame = generate_uid()
    for k in range(SLICES):
        (one,) = series(
            np.roll(plane, k, 0)[None],
            [(-180, -180, k * 1.25)],
            uid=uid,
            FrameOfReferenceUID=frame,
            StudyInstanceUID=uid,
        )
        (folder / "series" / f"{k}").write_bytes(stored(one))
    voxels = np.stack([np.roll(plane, k, 0).T for k in range(SLICES)], axis=2)
    nib.save(nib.Nifti1Image(voxels, np.diag([0.7, 0.8, 1.25, 1])), folder / "ct.nii")
    return folder


def peak_kilobytes(scan: Path) -> int:
    told = subprocess.run([sys.executable, "-c", PROGRAM, str(scan)], capture_output=True, text=True, check=True).stdout
    peak, *shape = map(int, told.split())
    assert shape == [1, 512, 512, SLICES]
    return peak


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc (Linux)")
def test_a_series_of_600_slices_takes_300_mib_more_than_the_same_as_nifti_at_most(ct: Path) -> None:
    assert peak_kilobytes(ct / "series") - peak_kilobytes(ct / "ct.nii") < 300 * 1024
