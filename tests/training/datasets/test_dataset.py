"""Datasets in their three layouts, and what is refused."""

import os
import shutil

import nibabel
import numpy as np
import pytest

from skipseg.models.errors import DatasetError
from skipseg.training.datasets.dataset import Case, checksum, named_cases, open_dataset, read_case


def test_an_msd_dataset_gives_its_channels_labels_and_cases(made):
    dataset = open_dataset(made.msd(3))
    assert (dataset.name, dataset.layout, dataset.channels) == ("Rods", "msd", ("MRI",))
    assert [label.name for label in dataset.labels.all] == ["background", "rod", "cone"]
    assert [case.name for case in dataset.cases] == ["a0", "a1", "a2"]
    volume, truth = read_case(dataset, dataset.cases[0])
    assert volume.voxels.shape == (1, 9, 10, 8)
    assert truth.shape == (9, 10, 8)
    assert set(np.unique(truth)) == {0, 1, 2}
    assert volume.geometry.spacing == (1.0, 1.0, 2.0)


def test_channels_in_the_fourth_dimension_are_channels(made):
    voxels = made.noise((9, 10, 8, 2))
    made.nifti("imagesTr/a0.nii.gz", voxels)
    made.nifti("labelsTr/a0.nii.gz", made.blob())
    made.json(
        "dataset.json",
        {"modality": {"0": "T1", "1": "T2"}, "labels": {"0": "background", "1": "rod"}, "training": [made.pair("a0")]},
    )
    dataset = open_dataset(made.folder)
    volume, _ = read_case(dataset, dataset.cases[0])
    assert dataset.channels == ("T1", "T2")
    np.testing.assert_array_equal(volume.voxels[1], voxels[..., 1])


def test_nnunet_v1_may_list_a_case_whose_channels_are_files(made):
    for channel in range(2):
        made.nifti(f"imagesTr/a0_{channel:04d}.nii.gz", made.noise())
    made.nifti("labelsTr/a0.nii.gz", made.blob())
    modality = {"0": "T1", "1": "T2"}
    made.json(
        "dataset.json", {"modality": modality, "labels": {"0": "background", "1": "rod"}, "training": [made.pair("a0")]}
    )
    (case,) = open_dataset(made.folder).cases
    assert case.name == "a0"
    assert [path.name for path in case.images] == ["a0_0000.nii.gz", "a0_0001.nii.gz"]


def test_an_nnunet_dataset_stacks_the_channel_files_of_a_case(made):
    dataset = open_dataset(made.nnunet(count=2, channels=2))
    assert (dataset.layout, dataset.channels, dataset.labels.values) == ("nnunet", ("T1", "T2"), (0, 1))
    assert [case.name for case in dataset.cases] == ["b0", "b1"]
    volume, _ = read_case(dataset, dataset.cases[1])
    assert volume.channels == 2


def test_an_nnunet_dataset_may_list_its_files(made):
    made.nnunet(count=1, channels=1)
    listed = {"first": {"images": ["imagesTr/b0_0000.nii.gz"], "label": "labelsTr/b0.nii.gz"}}
    made.nnunet(count=1, channels=1, dataset=listed)
    assert [case.name for case in open_dataset(made.folder).cases] == ["first"]


def test_ten_channels_come_in_the_order_of_their_numbers(made):
    names = {str(number): f"c{number}" for number in (10, 2, 0, 1, 3, 4, 5, 6, 7, 8, 9)}
    dataset = open_dataset(made.nnunet(count=1, channels=11, channel_names=names))
    assert dataset.channels[-2:] == ("c9", "c10")


def test_black_and_white_labels_are_one_label(made):
    dataset = open_dataset(made.pictures(3))
    assert (dataset.layout, dataset.channels, dataset.labels.values) == ("folders", ("image",), (0, 1))
    volume, truth = read_case(dataset, dataset.cases[0])
    assert volume.geometry.shape == (16, 12, 1)
    assert truth.shape == (16, 12, 1)
    assert set(np.unique(truth)) == {0, 1}


def test_a_declared_value_of_255_stays_255(made):
    made.pictures(2)
    made.json("labels.json", {"labels": {"0": "background", "255": "cell"}})
    dataset = open_dataset(made.folder)
    _, truth = read_case(dataset, dataset.cases[0])
    assert set(np.unique(truth)) == {0, 255}


def test_labels_of_two_folders_get_their_names_from_labels_json(made):
    made.pictures(2)
    made.json("labels.json", {"labels": {"0": "background", "1": "cell"}, "name": "Cells"})
    dataset = open_dataset(made.folder)
    assert dataset.name == "Cells"
    assert [label.name for label in dataset.labels.foreground] == ["cell"]


def test_equal_stems_pair_files_of_different_formats(made):
    made.png("images/x.png", made.random.integers(0, 255, (12, 16), np.uint8))
    made.nifti("labels/x.nii.gz", made.blob((16, 12, 1)))
    dataset = open_dataset(made.folder)
    volume, truth = read_case(dataset, dataset.cases[0])
    assert truth.shape == volume.geometry.shape


def test_two_folders_may_hold_one_file_per_channel(made):
    for channel in range(2):
        made.nifti(f"images/x_{channel:04d}.nii.gz", made.noise())
    made.nifti("labels/x.nii.gz", made.blob())
    dataset = open_dataset(made.folder)
    assert dataset.channels == ("channel 0", "channel 1")
    assert len(dataset.cases[0].images) == 2


@pytest.mark.parametrize("channels", [3, 4])
def test_grey_labels_saved_as_colours_are_read_as_grey(made, channels):
    label = made.blob((12, 16), value=3)
    colours = np.stack([label] * 3 + [np.full_like(label, 255)], axis=-1)[..., :channels]
    made.png("images/x.png", made.random.integers(0, 255, (12, 16), np.uint8))
    made.png("labels/x.png", colours)
    dataset = open_dataset(made.folder)
    _, truth = read_case(dataset, dataset.cases[0])
    np.testing.assert_array_equal(truth[..., 0], label.T)


def test_really_coloured_labels_are_refused(made):
    made.png("images/x.png", made.random.integers(0, 255, (12, 16), np.uint8))
    made.png("labels/x.png", made.random.integers(0, 3, (12, 16, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"case x.*one channel, or equal colours"):
        open_dataset(made.folder)


def instances(made):
    """Label files that number objects, few in most and many in the last."""
    for number, count in enumerate((2, 5, 9, 14, 20, 45)):
        made.png(f"images/n{number}.png", made.random.integers(0, 255, (30, 30), np.uint8))
        label = np.zeros((30, 30), np.uint8)
        label.flat[: count + 1] = np.arange(count + 1)
        made.png(f"labels/n{number}.png", label)
    return made.folder


def test_instance_ids_are_not_guessed_to_be_classes(made):
    with pytest.raises(DatasetError, match=r'number objects.*"foreground": "any"'):
        open_dataset(instances(made))


def test_instance_ids_become_one_label_when_asked_for(made):
    instances(made)
    made.json("labels.json", {"labels": {"0": "background", "1": "nucleus"}, "foreground": "any"})
    dataset = open_dataset(made.folder)
    _, truth = read_case(dataset, dataset.cases[-1])
    assert dataset.labels.values == (0, 1)
    assert int(truth.max()) == 1
    assert int(truth.sum()) == 45


@pytest.mark.parametrize("path", ["../secret.nii.gz", "/etc/passwd", "imagesTr/../../secret.nii.gz"])
def test_a_listed_path_may_not_leave_the_dataset(made, path):
    made.msd(1)
    made.nifti("../secret.nii.gz", made.noise())
    made.msd(1, training=[{"image": path, "label": "labelsTr/a0.nii.gz"}])
    with pytest.raises(DatasetError, match="not inside the dataset's folder"):
        open_dataset(made.folder)


@pytest.mark.parametrize("path", ["imagesTr/a\0.nii.gz", "imagesTr/" + "a" * 5000, "", "imagesTr"])
def test_a_listed_path_that_is_no_file_is_missing(made, path):
    made.msd(1, training=[{"image": path, "label": "labelsTr/a0.nii.gz"}])
    with pytest.raises(DatasetError, match="lists this file, and it is not there"):
        open_dataset(made.folder)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"background": 0, "whole": [1, 2]}, "region"),
        ({"background": 0, "rod": 1, "ignore": 2}, "ignore"),
        ({"background": 0, "rod": 1, "cone": 1}, "'rod' and 'cone' both have the value 1"),
        ({"background": 0, "rod": 1.5}, "labels"),
        ({"background": 0, "rod": -1}, "greater than or equal to 0"),
        ({"0": "background", "one": "rod"}, "whole number"),
        ({"0": "rod", "1": "rod"}, "share one name"),
    ],
)
def test_labels_that_mean_no_class_are_refused(made, labels, said):
    with pytest.raises(DatasetError, match=said):
        open_dataset(made.nnunet(labels=labels))


@pytest.mark.parametrize("text", ["{", "[]", '{"training": 3}', '{"labels": 1}', "\xff", "[" * 100_000])
def test_a_damaged_dataset_json_is_refused_with_its_name(made, text):
    made.folder.mkdir()
    (made.folder / "dataset.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DatasetError, match=r"dataset\.json"):
        open_dataset(made.folder)


def test_a_folder_without_a_layout_is_told_all_three(made):
    made.nifti("a.nii.gz", made.noise())
    with pytest.raises(DatasetError, match=r"MSD .*nnU-Net v2 .*images/ and labels/"):
        open_dataset(made.folder)


def test_a_listed_file_that_is_missing_is_refused_with_its_name(made):
    made.msd(2)
    (made.folder / "labelsTr/a1.nii.gz").unlink()
    with pytest.raises(DatasetError, match=r"labelsTr/a1\.nii\.gz: dataset\.json lists this file"):
        open_dataset(made.folder)


def test_an_image_without_a_label_is_a_case_without_truth(made):
    made.pictures(2)
    made.png("images/later.png", made.random.integers(0, 255, (12, 16), np.uint8))
    dataset = open_dataset(made.folder)
    (case,) = named_cases(dataset, ["later"])
    assert case.label is None
    with pytest.raises(DatasetError, match="case later: there is no label"):
        read_case(dataset, case)


def test_files_that_macos_leaves_behind_are_no_cases(made):
    made.pictures(1)
    shutil.copy(made.folder / "images/c0.png", made.folder / "images/._c0.png")
    assert [case.name for case in open_dataset(made.folder).cases] == ["c0"]


def test_a_label_on_another_grid_is_refused(made):
    made.msd(1)
    made.nifti("labelsTr/a0.nii.gz", made.blob(), np.diag([1.0, 1.0, 2.5, 1.0]))
    dataset = open_dataset(made.folder)
    with pytest.raises(DatasetError, match=r"case a0: .*up to 3\.5 mm apart"):
        read_case(dataset, dataset.cases[0])


def test_rounding_in_an_affine_is_tolerated(made):
    made.msd(1)
    made.nifti("labelsTr/a0.nii.gz", made.blob(), np.diag([1.001, 1.0, 2.0, 1.0]))
    dataset = open_dataset(made.folder)
    _, truth = read_case(dataset, dataset.cases[0])
    assert truth.any()


def test_a_value_the_dataset_does_not_name_is_refused(made):
    made.msd(1)
    made.nifti("labelsTr/a0.nii.gz", made.blob(value=7))
    dataset = open_dataset(made.folder)
    with pytest.raises(DatasetError, match=r"case a0: .*values \[7\]"):
        read_case(dataset, dataset.cases[0])


def test_labels_stored_with_a_scale_are_whole_numbers_again(made):
    made.msd(1)
    image = nibabel.Nifti1Image(made.blob().astype(np.float32) * np.float32(0.99999), np.diag([1.0, 1.0, 2.0, 1.0]))
    nibabel.save(image, made.folder / "labelsTr/a0.nii.gz")
    dataset = open_dataset(made.folder)
    _, truth = read_case(dataset, dataset.cases[0])
    assert truth.dtype == np.uint8
    assert set(np.unique(truth)) == {0, 1}


def test_values_above_255_need_two_bytes(made):
    made.msd(1, labels={"0": "background", "300": "rod"})
    label = made.blob().astype(np.int16) * 300
    made.nifti("labelsTr/a0.nii.gz", label)
    dataset = open_dataset(made.folder)
    _, truth = read_case(dataset, dataset.cases[0])
    assert truth.dtype == np.uint16
    np.testing.assert_array_equal(truth, label)


def test_an_image_with_other_channels_than_named_is_refused(made):
    made.msd(1, modality={"0": "T1", "1": "T2"})
    dataset = open_dataset(made.folder)
    with pytest.raises(DatasetError, match=r"case a0: the dataset has 2 channels \(T1, T2\), this image 1"):
        read_case(dataset, dataset.cases[0])


def test_the_checksum_follows_the_content_not_the_place(made, tmp_path):
    first = checksum(open_dataset(made.msd(2)))
    moved = shutil.copytree(made.folder, tmp_path / "elsewhere")
    assert checksum(open_dataset(moved)) == first
    made.folder = moved
    made.nifti("labelsTr/a0.nii.gz", made.blob())
    assert checksum(open_dataset(moved)) != first


def test_unknown_case_names_are_refused(made):
    dataset = open_dataset(made.msd(2))
    assert [case.name for case in named_cases(dataset, ["a1\n", "", "a0"])] == ["a0", "a1"]
    with pytest.raises(DatasetError, match="no case zebra"):
        named_cases(dataset, ["a0", "zebra"])


@pytest.mark.parametrize(
    ("name", "layout", "count", "channels", "values"),
    [
        ("hippocampus", "msd", 208, ("MRI",), (0, 1, 2)),
        ("brain-tumour", "nnunet", 6, ("FLAIR", "T1c"), (0, 1, 2, 3, 4)),
        ("em-membranes", "folders", 24, ("image",), (0, 1)),
    ],
)
def test_real_datasets_open(real_data, name, layout, count, channels, values):
    dataset = open_dataset(real_data(name))
    assert (dataset.layout, len(dataset.cases)) == (layout, count)
    assert (dataset.channels, dataset.labels.values) == (channels, values)
    volume, truth = read_case(dataset, dataset.cases[0])
    assert volume.voxels.shape == (len(channels), *truth.shape)
    assert set(np.unique(truth)) <= set(values)


def test_real_nuclei_open_once_their_labels_are_explained(real_data, made):
    made.json("labels.json", {"labels": {"0": "background", "1": "nucleus"}, "foreground": "any"})
    for part in ("images", "labels"):
        os.symlink(real_data("nuclei") / part, made.folder / part)
    dataset = open_dataset(made.folder)
    assert len(dataset.cases) == 166
    assert isinstance(dataset.cases[0], Case)
    volume, truth = read_case(dataset, dataset.cases[0])
    assert volume.voxels.shape == (3, *truth.shape)
    assert set(np.unique(truth)) == {0, 1}
