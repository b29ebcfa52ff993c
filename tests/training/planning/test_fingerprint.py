"""What is measured on a dataset, against numbers known beforehand."""

import numpy as np
import pytest

from skipseg.models.errors import DatasetError
from skipseg.training.datasets.dataset import open_dataset
from skipseg.training.planning.described import describe
from skipseg.training.planning.fingerprint import Fingerprint, measure


def test_shapes_and_spacings_are_turned_to_the_common_orientation(made):
    made.msd(3)
    lying = np.array([[0, 1.0, 0, 0], [0, 0, 2.0, 0], [3.0, 0, 0, 0], [0, 0, 0, 1]])  # axes S, R, A
    made.nifti("imagesTr/a0.nii.gz", made.noise((9, 10, 8)), lying)
    made.nifti("labelsTr/a0.nii.gz", made.blob((9, 10, 8)), lying)
    f = measure(open_dataset(made.folder))
    assert (f.orientation, f.orientations, f.dimensions) == ("RAS", 2, 3)
    assert [axis.maximum for axis in f.shape] == [10, 10, 9]
    assert [axis.maximum for axis in f.spacing] == [1, 2, 3]
    assert [axis.median for axis in f.spacing] == [1, 1, 2]
    assert f.anisotropy == 2
    assert f.spacing_given


def test_intensities_are_those_inside_the_labels(made):
    made.msd(2, modality={"0": "CT"})
    for number, inside in enumerate((10.0, 30.0)):
        label = made.blob()
        made.nifti(f"labelsTr/a{number}.nii.gz", label)
        made.nifti(f"imagesTr/a{number}.nii.gz", np.where(label > 0, inside, made.noise()).astype(np.float32))
    (channel,) = measure(open_dataset(made.folder)).channels
    assert channel.is_ct
    assert (channel.mean, channel.std) == (20, 10)
    assert (channel.percentile_00_5, channel.percentile_99_5) == (10, 30)
    assert (channel.case_mean.minimum, channel.case_mean.maximum) == (10, 30)
    assert channel.case_std.maximum == 0


def test_label_volumes_are_in_mm3_over_the_cases_that_have_the_label(made):
    made.msd(3)
    made.nifti("labelsTr/a2.nii.gz", made.blob())
    rod, cone = measure(open_dataset(made.folder)).labels
    assert (rod.name, rod.cases) == ("rod", 3)
    assert (cone.name, cone.cases) == ("cone", 2)
    assert cone.volume_mm3.minimum == cone.volume_mm3.maximum == 2 * 3 * 2 * 2
    assert cone.share == pytest.approx(2 * 12 / (3 * 720))
    assert rod.volume_mm3.maximum == 27 * 2


def test_a_label_no_case_has_is_said_to_have_no_volume(made):
    f = measure(open_dataset(made.msd(2, labels={"0": "background", "1": "rod", "2": "cone", "3": "pupil"})))
    assert (f.labels[2].cases, f.labels[2].volume_mm3, f.labels[2].share) == (0, None, 0)
    assert "in no case" in describe(f)


def test_the_content_box_is_measured(made):
    made.msd(1)
    image = np.zeros((9, 10, 8), np.float32)
    image[3:6, 5:10, 2:6] = 1 + made.noise((3, 5, 4))
    made.nifti("imagesTr/a0.nii.gz", image)
    f = measure(open_dataset(made.folder))
    assert f.content.median == pytest.approx(3 * 5 * 4 / 720)


def test_pictures_have_two_dimensions_and_no_spacing(made):
    f = measure(open_dataset(made.pictures(3)))
    assert (f.dimensions, f.spacing_given, f.anisotropy) == (2, False, 1)
    assert [axis.median for axis in f.shape] == [16, 12, 1]
    assert "not given" in describe(f)
    assert "pixels" in describe(f)


def test_labels_that_are_all_empty_are_refused(made):
    made.msd(2)
    for number in range(2):
        made.nifti(f"labelsTr/a{number}.nii.gz", np.zeros((9, 10, 8), np.uint8))
    with pytest.raises(DatasetError, match="every label is empty"):
        measure(open_dataset(made.folder))


def test_a_case_that_cannot_be_read_is_named(made):
    made.msd(2)
    (made.folder / "imagesTr/a1.nii.gz").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match="case a1"):
        measure(open_dataset(made.folder))


def test_cases_without_a_label_are_not_measured(made):
    made.pictures(3)
    made.png("images/later.png", np.full((40, 40), 7, np.uint8))
    f = measure(open_dataset(made.folder))
    assert (f.cases, f.shape[0].maximum) == (3, 16)


def test_a_fingerprint_goes_through_json_unchanged_and_twice_the_same(made):
    dataset = open_dataset(made.msd(3))
    f = measure(dataset)
    assert Fingerprint.model_validate_json(f.model_dump_json()) == f
    assert measure(dataset) == f


def test_the_real_hippocampi_are_measured(real_data):
    f = measure(open_dataset(real_data("hippocampus")))
    assert (f.cases, f.dimensions, f.orientation, f.anisotropy) == (208, 3, "RAS", 1)
    assert [(axis.minimum, axis.maximum) for axis in f.shape] == [(31, 43), (40, 58), (26, 47)]
    assert f.channels[0].case_mean.maximum > 1000 * f.channels[0].case_mean.minimum
    text = describe(f)
    assert "208, 3D" in text
    assert "label Anterior" in text
