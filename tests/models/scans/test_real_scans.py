"""Real scans are read as nibabel and Pillow read them, and their masks lie where they lie."""

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from skipseg.models.labels import Labels
from skipseg.models.scans.masks import encode_mask
from skipseg.models.scans.reader import read_channels, read_scan, scan_files
from skipseg.models.scans.volume import Mask

LABELS = Labels.from_names({1: "bright"})
RealData = Callable[[str], Path]


@pytest.mark.parametrize("name", ["hippocampus", "hippocampus-dirty", "brain-tumour", "body-ct"])
def test_a_real_nifti_scan_and_its_mask_agree_with_nibabel(name: str, real_data: RealData) -> None:
    for path in scan_files(real_data(name))[:12]:
        scan, volume = nib.load(path), read_scan(path)
        assert np.array_equal(volume.geometry.affine, scan.affine)
        assert np.array_equal(volume.voxels[0], scan.get_fdata().astype(np.float32))
        mask = Mask((volume.voxels[0] > 100).astype(np.uint8), volume.geometry, volume.source, LABELS)
        written = nib.Nifti1Image.from_bytes(gzip.decompress(encode_mask(mask)))
        assert np.array_equal(written.affine, scan.affine)
        assert written.header.get_zooms() == scan.header.get_zooms()
        assert np.array_equal(np.asanyarray(written.dataobj), mask.voxels)


def test_two_real_sequences_are_two_channels(real_data: RealData) -> None:
    first, second = sorted((real_data("brain-tumour") / "imagesTr").iterdir())[:2]
    volume = read_channels([first, second])
    assert volume.channels == 2
    assert np.array_equal(volume.voxels[1], nib.load(second).get_fdata().astype(np.float32))


@pytest.mark.parametrize(("name", "channels"), [("em-membranes/images", 1), ("nuclei/images", 3), ("nuclei/labels", 1)])
def test_a_real_picture_agrees_with_pillow(name: str, channels: int, real_data: RealData) -> None:
    for path in scan_files(real_data(name))[:12]:
        pixels, volume = np.asarray(Image.open(path)), read_scan(path)
        assert volume.channels == channels
        rows = volume.voxels[..., 0].transpose(2, 1, 0)
        assert np.array_equal(rows, pixels.reshape(*pixels.shape[:2], -1)[..., :channels])
