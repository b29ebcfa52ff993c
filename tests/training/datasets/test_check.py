"""Every defect is named with its file, and one never hides another."""

import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydantic import TypeAdapter

from skipseg.training.datasets.check import Defect, check_dataset, defects_json, errors, render_defects


def found(folder):
    return {(defect.code, defect.file) for defect in check_dataset(folder)}


@pytest.fixture
def sound(made):
    made.msd(6)
    return made


def test_a_sound_dataset_has_no_defect(sound, made):
    assert check_dataset(sound.folder) == []
    assert render_defects([]) == "No defect found."


def test_sound_pictures_and_channel_files_have_no_defect(made, tmp_path):
    assert check_dataset(made.pictures(4)) == []
    made.folder = tmp_path / "other"
    assert check_dataset(made.nnunet(3)) == []


def test_a_folder_that_is_no_dataset_is_one_defect(tmp_path):
    (defect,) = check_dataset(tmp_path)
    assert defect.code == "not_a_dataset"
    assert "imagesTr" in defect.problem
    assert "images/ and labels/" in defect.problem


def test_ten_planted_defects_are_each_named(sound):
    noise, affine = sound.noise, np.diag([1.0, 1.0, 2.0, 1.0])
    sound.msd(14)
    sound.nifti("imagesTr/alone.nii.gz", noise())
    sound.nifti("labelsTr/lost.nii.gz", sound.blob())
    (sound.folder / "imagesTr/a0.nii.gz").unlink()
    whole = (sound.folder / "imagesTr/a1.nii.gz").read_bytes()
    (sound.folder / "imagesTr/a1.nii.gz").write_bytes(whole[: len(whole) // 2])
    sound.nifti("labelsTr/a2.nii.gz", sound.blob((9, 10, 7)))
    sound.nifti("labelsTr/a3.nii.gz", sound.blob(), affine + np.array([[0, 0, 0, 30.0], *[[0] * 4] * 3]))
    sound.nifti("labelsTr/a4.nii.gz", sound.blob(value=9))
    sound.nifti("labelsTr/a5.nii.gz", sound.blob().astype(np.float32) / 2)
    sound.nifti("imagesTr/a6.nii.gz", np.full((9, 10, 8), 5.0, np.float32))
    shutil.copy(sound.folder / "imagesTr/a8.nii.gz", sound.folder / "imagesTr/a7.nii.gz")
    for part, voxels in (("imagesTr", noise()), ("labelsTr", sound.blob())):
        sound.nifti(f"{part}/a9.nii.gz", voxels, np.diag([1.0, 1.0, 9.0, 1.0]))
    sound.nifti("labelsTr/a10.nii.gz", np.zeros((9, 10, 8), np.uint8))
    sound.nifti("imagesTr/a11.nii.gz", np.where(np.arange(8) == 3, np.nan, noise()).astype(np.float32))
    sound.nifti("imagesTr/a12.nii.gz", noise((9, 10, 8, 2)))

    assert found(sound.folder) == {
        ("image_without_label", "imagesTr/alone.nii.gz"),
        ("label_without_image", "labelsTr/lost.nii.gz"),
        ("file_missing", "imagesTr/a0.nii.gz"),
        ("unreadable", "imagesTr/a1.nii.gz"),
        ("shapes_differ", "labelsTr/a2.nii.gz"),
        ("affines_differ", "labelsTr/a3.nii.gz"),
        ("label_unknown", "labelsTr/a4.nii.gz"),
        ("label_values", "labelsTr/a5.nii.gz"),
        ("constant_image", "imagesTr/a6.nii.gz"),
        ("duplicate_image", "imagesTr/a8.nii.gz"),
        ("spacing_outlier", "imagesTr/a9.nii.gz"),
        ("label_empty", "labelsTr/a10.nii.gz"),
        ("unusable", "imagesTr/a11.nii.gz"),
        ("channel_count", "imagesTr/a12.nii.gz"),
    }


def test_defects_say_how_far_how_much_and_which(sound):
    shift = np.diag([1.0, 1.0, 2.0, 1.0])
    shift[:3, 3] = 3, 4, 0
    sound.nifti("labelsTr/a0.nii.gz", sound.blob(), shift)
    sound.nifti("labelsTr/a1.nii.gz", sound.blob(value=9))
    shutil.copy(sound.folder / "imagesTr/a3.nii.gz", sound.folder / "imagesTr/a2.nii.gz")
    said = {defect.code: defect.problem for defect in check_dataset(sound.folder)}
    assert "up to 5 mm apart" in said["affines_differ"]
    assert said["label_unknown"] == "27 voxels hold values the dataset does not name: 9"
    assert said["duplicate_image"] == "holds the same voxels as imagesTr/a2.nii.gz"


def test_swapped_axes_are_recognised(sound):
    sound.nifti("labelsTr/a0.nii.gz", sound.blob((8, 10, 9)))
    (defect,) = check_dataset(sound.folder)
    assert (defect.code, "swapped" in defect.mend) == ("shapes_differ", True)


def test_a_copy_is_found_though_it_is_stored_otherwise(sound):
    voxels = np.round(sound.noise())
    sound.nifti("imagesTr/a0.nii.gz", voxels.astype(np.int16))
    nibabel.save(nibabel.Nifti2Image(voxels.astype(np.float64), np.diag([1.0, 1.0, 2.0, 1.0])), sound.folder / "x.nii")
    shutil.move(sound.folder / "x.nii", sound.folder / "imagesTr/a1.nii.gz")
    assert ("duplicate_image", "imagesTr/a1.nii.gz") in found(sound.folder)


def test_an_image_saved_as_label_and_one_label_for_two_images_are_named(sound):
    shutil.copy(sound.folder / "labelsTr/a0.nii.gz", sound.folder / "imagesTr/a0.nii.gz")
    shutil.copy(sound.folder / "labelsTr/a1.nii.gz", sound.folder / "labelsTr/a2.nii.gz")
    assert found(sound.folder) == {
        ("label_is_image", "labelsTr/a0.nii.gz"),
        ("duplicate_label", "labelsTr/a2.nii.gz"),
    }


def test_a_case_listed_twice_and_a_path_outside_are_named(sound):
    outside = {"image": "../a.nii.gz", "label": "labelsTr/a0.nii.gz"}
    sound.msd(3, training=[*(sound.pair(f"a{number}") for number in (0, 1, 1)), outside])
    assert found(sound.folder) >= {("case_twice", "imagesTr/a1.nii.gz"), ("path_outside", "dataset.json")}


def test_pairs_that_dataset_json_forgot_are_a_warning(sound):
    sound.msd(3, training=[sound.pair("a0"), sound.pair("a1")])
    defects = check_dataset(sound.folder)
    assert errors(defects) == []
    assert ("not_listed", "imagesTr/a2.nii.gz") in {(defect.code, defect.file) for defect in defects}


def test_a_missing_channel_file_is_named(made):
    made.nnunet(3, channels=2)
    (made.folder / "imagesTr/b1_0001.nii.gz").unlink()
    (defect,) = check_dataset(made.folder)
    assert (defect.code, defect.file) == ("channels_missing", "imagesTr/b1_0000.nii.gz")
    assert "expected 0000, 0001" in defect.problem


def test_channels_on_different_grids_are_named(made):
    made.nnunet(3, channels=2)
    made.nifti("imagesTr/b1_0001.nii.gz", made.noise((9, 10, 5)))
    assert found(made.folder) == {("channels_apart", "imagesTr/b1_0000.nii.gz")}


def test_two_labels_of_one_stem_are_named(made):
    made.pictures(2)
    made.nifti("labels/c1.nii.gz", made.blob((16, 12, 1)))
    assert "case_twice" in {code for code, _ in found(made.folder)}


def test_a_volume_among_pictures_is_named(made):
    made.msd(4, labels={"0": "background", "1": "rod"})
    for number in range(3):
        made.nifti(f"imagesTr/a{number}.nii.gz", made.noise((9, 10, 1)))
        made.nifti(f"labelsTr/a{number}.nii.gz", made.blob((9, 10, 3))[..., :1])
    assert ("dimensions_mixed", "imagesTr/a3.nii.gz") in found(made.folder)


def test_labels_that_are_all_empty_leave_nothing_to_train_on(made):
    made.pictures(2)
    for number in range(2):
        made.png(f"labels/c{number}.png", np.zeros((12, 16), np.uint8))
    assert ("nothing_to_train_on", ".") in found(made.folder)


def test_labels_json_that_cannot_be_used_is_named_beside_other_defects(made):
    made.nnunet(2, labels={"background": 0, "whole": [1, 2]})
    made.nifti("labelsTr/x.nii.gz", made.blob())
    assert found(made.folder) == {("labels_unclear", "dataset.json"), ("label_without_image", "labelsTr/x.nii.gz")}


def test_progress_reaches_the_number_of_cases(sound):
    steps = []
    check_dataset(sound.folder, lambda done, total: steps.append((done, total)))
    assert steps == [(number, 6) for number in range(1, 7)]


def test_defects_are_rendered_with_file_problem_mend_and_count(sound):
    (sound.folder / "imagesTr/a0.nii.gz").unlink()
    sound.nifti("labelsTr/a1.nii.gz", np.zeros((9, 10, 8), np.uint8))
    text = render_defects(check_dataset(sound.folder))
    assert "error: file missing (1)\n  mend: put the file there" in text
    assert "imagesTr/a0.nii.gz" in text
    assert text.index("error: file missing") < text.index("warning: label empty")
    assert text.endswith("1 error, 1 warning")


def test_defects_go_through_json(sound):
    (sound.folder / "imagesTr/a0.nii.gz").unlink()
    defects = check_dataset(sound.folder)
    assert TypeAdapter(list[Defect]).validate_json(defects_json(defects)) == defects


def test_the_real_hippocampi_have_no_defect(real_data):
    assert check_dataset(real_data("hippocampus")) == []


def test_the_real_nuclei_are_told_that_they_are_instances(real_data):
    (defect,) = check_dataset(real_data("nuclei"))
    assert defect.code == "instance_labels"
    assert '"foreground": "any"' in defect.mend


def test_the_dirty_hippocampus_files_are_named(real_data, made):
    clean, dirty = real_data("hippocampus"), real_data("hippocampus-dirty")
    names = [path.name for path in sorted((clean / "labelsTr").iterdir())[:4]]
    for part in ("imagesTr", "labelsTr"):
        (made.folder / part).mkdir(parents=True)
        for name in names:
            (made.folder / part / name).symlink_to(clean / part / name)
    shutil.copy(dirty / "image_without_label_118.nii.gz", made.folder / "imagesTr/hippocampus_118.nii.gz")
    shutil.copy(dirty / "label_without_image_281.nii.gz", made.folder / "labelsTr/hippocampus_281.nii.gz")
    listed = [made.pair(name.removesuffix(".nii.gz")) for name in names]
    made.json(
        "dataset.json",
        {"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "A", "2": "P"}, "training": listed},
    )
    assert found(made.folder) == {
        ("image_without_label", "imagesTr/hippocampus_118.nii.gz"),
        ("label_without_image", "labelsTr/hippocampus_281.nii.gz"),
    }


def test_every_kind_of_defect_is_documented():
    root = Path(__file__).resolve().parents[3]
    sources = "".join(
        (root / "training/datasets" / f"{name}.py").read_text() for name in ("check", "examine", "mistakes")
    )
    codes = set(re.findall(r'code="(\w+)"', sources)) | {"unreadable", "unusable", "too_large"}
    documented = set(re.findall(r"^\| `(\w+)` \|", (root / "docs/datasets.md").read_text(), re.MULTILINE))
    assert documented == codes
