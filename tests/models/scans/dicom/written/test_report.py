"""Measurement reports: dcmtk and highdicom read them, and they say what the mask says."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from dicom_masks import MAKER, TRUST, as_dataset, complaints, mask_on, read_series
from highdicom.sr import Comprehensive3DSR
from pydicom.sr.codedict import codes

from skipseg.models.scans.masks import encode_mask
from skipseg.models.scans.reader import read_scan
from skipseg.models.scans.volume import Mask

RealData = Callable[[str], Path]


@pytest.fixture
def mask(tmp_path: Path) -> Mask:
    return mask_on(read_series(tmp_path / "scan"))


def test_every_label_has_its_volume_and_refers_to_its_segment(mask: Mask) -> None:
    mask.voxels[mask.voxels == 3] = 0
    file, segmentation = as_dataset(encode_mask(mask, "dicom-sr")), as_dataset(encode_mask(mask, "dicom-seg"))
    groups = Comprehensive3DSR.from_dataset(file).content.get_volumetric_roi_measurement_groups()
    volumes = [groups[i].get_measurements(codes.SCT.Volume)[0] for i in range(3)]
    assert [volume.value for volume in volumes] == pytest.approx([mm3 / 1000 for mm3 in mask.volumes_mm3().values()])
    assert volumes[2].value == 0
    assert {volume.unit.value for volume in volumes} == {"ml"}
    segments = [group.referenced_segment for group in groups]
    assert {segment.referenced_sop_instance_uid for segment in segments} == {segmentation.SOPInstanceUID}
    assert [segment.referenced_segment_numbers for segment in segments] == [[1], [2], [3]]
    assert [group.tracking_uid for group in groups] == [one.TrackingUID for one in segmentation.SegmentSequence]
    evidence = file.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert segmentation.SeriesInstanceUID in [series.SeriesInstanceUID for series in evidence]


def test_the_trust_is_told_where_it_is_known(mask: Mask, tmp_path: Path) -> None:
    said = dumped(encode_mask(mask, "dicom-sr"), tmp_path)
    assert f'"Trust score")="{TRUST.score:.4f}"' in said
    assert f'"Unusual in this result")="{TRUST.flags[0]}"' in said
    unjudged = replace(mask, maker=replace(MAKER, trust=None))
    assert "Trust" not in dumped(encode_mask(unjudged, "dicom-sr"), tmp_path)


@pytest.mark.parametrize("name", ["brain-T1post", "hippocampus-crop-1"])
def test_a_report_on_a_real_series_pleases_dciodvfy_and_dcmtk(name: str, real_data: RealData, tmp_path: Path) -> None:
    mask = mask_on(read_scan(real_data("dicom") / name))
    file = encode_mask(mask, "dicom-sr")
    assert complaints(file, tmp_path) == []
    said = dumped(file, tmp_path)
    assert said.count('"Volume")=') == 3
    assert '"Laterality")=(7771000,SCT,"Left")' in said


def dumped(file: bytes, folder: Path) -> str:
    """As dcmtk prints it, without shortening."""
    program, path = Path("/usr/bin/dsrdump"), folder / "report.dcm"
    if not program.exists():
        pytest.skip("dsrdump is not installed (Debian's dcmtk)")
    path.write_bytes(file)
    return subprocess.run([program, "+Pl", path], capture_output=True, text=True, check=True).stdout
