"""Evaluation against known masks: files, names, and cases that fail."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from skipseg.models.errors import DatasetError, ScanUnusable
from skipseg.models.labels import Labels
from skipseg.models.scans.reader import read_scan
from skipseg.models.scans.volume import Mask
from skipseg.training.datasets.dataset import open_dataset, read_case
from skipseg.training.runs.evaluate import evaluate, score


class Answers:
    """A model that knows the truth of a dataset and changes it on the way out."""

    def __init__(self, dataset, change=lambda truth: truth, labels=None):
        self.change, self.labels = change, labels or dataset.labels
        self.truths = {}
        for case in dataset.cases:
            if case.label:
                volume, truth = read_case(dataset, case)
                self.truths[volume.voxels.tobytes()] = truth

    def segment(self, volume):
        voxels = self.change(self.truths[volume.voxels.tobytes()])
        return Mask(voxels, volume.geometry, volume.source, self.labels)


def shifted(truth):
    return np.roll(truth, 1, axis=0)


def test_the_truth_itself_scores_one(made):
    dataset = open_dataset(made.msd(3))
    metrics = score(Answers(dataset).segment, "perfect", dataset, dataset.cases)
    assert (metrics.mean.dice, metrics.mean.hd95_mm, metrics.mean.nsd_1mm) == (1, 0, 1)
    assert [case.case for case in metrics.cases] == ["a0", "a1", "a2"]


def test_a_shifted_mask_scores_what_it_must(made):
    dataset = open_dataset(made.msd(3))
    metrics = score(Answers(dataset, shifted).segment, "shifted", dataset, dataset.cases)
    assert metrics.labels["cone"].dice == pytest.approx(1 / 2)
    assert metrics.labels["cone"].hd95_mm == 1


def test_a_dilated_mask_scores_what_it_must(made):
    dataset = open_dataset(made.nnunet(2))
    answers = Answers(dataset, lambda truth: binary_dilation(truth, np.ones((3, 1, 1))).astype(np.uint8))
    one = score(answers.segment, "dilated", dataset, dataset.cases[:1]).cases[0].labels["rod"]
    assert one.dice == pytest.approx(2 * one.truth_mm3 / (one.truth_mm3 + one.mask_mm3))
    assert one.hd95_mm == 1
    assert one.mask_mm3 > one.truth_mm3


def test_all_files_are_written(made, tmp_path):
    dataset = open_dataset(made.msd(3))
    out = tmp_path / "new" / "evaluation"
    metrics = evaluate(Answers(dataset, shifted).segment, "rods@1", dataset, dataset.cases[:2], out)
    written = json.loads((out / "metrics.json").read_text())
    assert (written["bundle"], written["dataset"]) == ("rods@1", "Rods")
    assert set(written["mean"]) == set(written["labels"]["rod"]) == {"dice", "iou", "hd95_mm", "nsd_1mm"}
    assert written["cases"][0]["case"] == "a0"
    assert written["cases"][0]["labels"]["cone"]["dice"] == pytest.approx(0.5)
    assert written["mean"]["dice"] == metrics.mean.dice
    rows = list(csv.DictReader((out / "cases.csv").open()))
    assert [(row["case"], row["label"]) for row in rows] == [
        (f"a{n}", label) for n in (0, 1) for label in ("rod", "cone")
    ]
    assert float(rows[1]["dice"]) == pytest.approx(0.5)
    assert sorted(path.name for path in (out / "masks").iterdir()) == ["a0.nii.gz", "a1.nii.gz"]
    assert (out / "report.html").stat().st_size > 10_000


def test_masks_lie_on_the_scans_grid_with_the_label_values(made, tmp_path):
    dataset = open_dataset(made.msd(1))
    evaluate(Answers(dataset, shifted).segment, "rods", dataset, dataset.cases, tmp_path)
    volume, truth = read_case(dataset, dataset.cases[0])
    mask = read_scan(tmp_path / "masks/a0.nii.gz")
    np.testing.assert_array_equal(mask.voxels[0], shifted(truth))
    np.testing.assert_array_equal(mask.geometry.affine, volume.geometry.affine)


def test_masks_of_pictures_keep_their_name_and_of_channel_files_the_case(made, tmp_path):
    dataset = open_dataset(made.pictures(1))
    evaluate(Answers(dataset).segment, "cells", dataset, dataset.cases, tmp_path / "pictures")
    made.folder = tmp_path / "channels"
    dataset = open_dataset(made.nnunet(1))
    evaluate(Answers(dataset).segment, "rods", dataset, dataset.cases, tmp_path / "volumes")
    assert [path.name for path in (tmp_path / "pictures/masks").iterdir()] == ["c0.png"]
    assert [path.name for path in (tmp_path / "volumes/masks").iterdir()] == ["b0.nii.gz"]


@pytest.mark.parametrize("names", [("p1/scan", "p2/scan"), ("p1/scan", "p2/SCAN")])
def test_masks_of_scans_that_share_a_name_are_called_like_their_cases(made, tmp_path, names):
    for name in names:
        made.nifti(f"{name}.nii.gz", made.noise())
        made.nifti(f"{name}-truth.nii.gz", made.blob())
    groups = {f"case {name[:2]}": {"images": [f"{name}.nii.gz"], "label": f"{name}-truth.nii.gz"} for name in names}
    made.json("dataset.json", {"channel_names": {"0": "T1"}, "labels": {"background": 0, "rod": 1}, "dataset": groups})
    dataset = open_dataset(made.folder)
    evaluate(Answers(dataset).segment, "rods", dataset, dataset.cases, tmp_path / "out")
    for case in dataset.cases:
        truth = read_case(dataset, case)[1]
        np.testing.assert_array_equal(read_scan(tmp_path / "out/masks" / f"{case.name}.nii.gz").voxels[0], truth)


def test_a_case_that_fails_is_named_and_the_others_are_scored(made, tmp_path):
    dataset = open_dataset(made.msd(3))
    answers = Answers(dataset)
    refused = read_case(dataset, dataset.cases[1])[0].voxels.tobytes()
    (made.folder / "imagesTr/a2.nii.gz").write_bytes(b"torn")

    def segment(volume):
        if volume.voxels.tobytes() == refused:
            raise ScanUnusable("the model wants 7 channels")
        return answers.segment(volume)

    metrics = evaluate(segment, "rods", dataset, dataset.cases, tmp_path)
    assert [case.case for case in metrics.cases] == ["a0"]
    assert {failure.case: failure.error for failure in metrics.failed}["a1"] == "the model wants 7 channels"
    assert {failure.case for failure in metrics.failed} == {"a1", "a2"}
    assert "7 channels" in (tmp_path / "cases.csv").read_text()
    assert "2 of 3 cases have no score" in (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "metrics.json").read_text())["failed"][0]["case"] == "a1"


def test_cases_that_all_fail_give_no_mean(made, tmp_path):
    dataset = open_dataset(made.msd(2))
    unlabelled = [replace(case, label=None) for case in dataset.cases]
    metrics = evaluate(Answers(dataset).segment, "rods", dataset, unlabelled, tmp_path)
    assert metrics.mean.dice is None
    assert [failure.case for failure in metrics.failed] == ["a0", "a1"]
    assert all("there is no label" in failure.error for failure in metrics.failed)


def test_a_label_missing_from_truth_and_mask_is_null(made):
    dataset = open_dataset(made.msd(2))
    made.nifti("labelsTr/a0.nii.gz", made.blob())
    metrics = score(Answers(dataset, lambda truth: np.where(truth == 2, 0, truth)).segment, "m", dataset, dataset.cases)
    assert metrics.cases[0].labels["cone"].dice is None
    assert metrics.cases[1].labels["cone"].dice == 0
    assert metrics.labels["cone"].dice == 0


def test_labels_that_mean_different_things_stop_the_evaluation(made):
    dataset = open_dataset(made.msd(2))
    answers = Answers(dataset, labels=Labels.from_names({1: "cone", 2: "rod"}))
    with pytest.raises(DatasetError, match="'rod' is 1 in the dataset and 2 in the model"):
        score(answers.segment, "m", dataset, dataset.cases)


def test_labels_of_other_names_are_compared_by_value(made):
    dataset = open_dataset(made.pictures(2))
    answers = Answers(dataset, labels=Labels.from_names({1: "cell"}))
    assert score(answers.segment, "m", dataset, dataset.cases).labels["label 1"].dice == 1


def test_progress_counts_failed_cases_too(made):
    dataset = open_dataset(made.msd(3))
    answers = Answers(dataset)
    (made.folder / "imagesTr/a1.nii.gz").write_bytes(b"torn")
    steps = []
    score(answers.segment, "m", dataset, dataset.cases, lambda *step: steps.append(step))
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_real_hippocampi_shifted_by_a_voxel(real_data, tmp_path):
    dataset = open_dataset(real_data("hippocampus"))
    few = replace(dataset, cases=dataset.cases[:6])
    metrics = evaluate(Answers(few, shifted).segment, "shifted", few, few.cases, tmp_path)
    assert metrics.mean.hd95_mm == 1
    assert metrics.mean.nsd_1mm == 1
    assert 0.8 < metrics.mean.dice < 0.95
