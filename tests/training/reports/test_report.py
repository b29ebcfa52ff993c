"""The page and its pictures: complete, self-contained, and the right way up."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from skipseg.models.errors import DatasetError
from skipseg.models.labels import Labels
from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.volume import Mask, Source, Volume
from skipseg.training.datasets.dataset import open_dataset, read_case
from skipseg.training.judging.metrics import CaseScore, LabelScore
from skipseg.training.reports.figures import overlay_plot, read_history
from skipseg.training.reports.report import worst_first
from skipseg.training.reports.slices import busiest, pictures, surroundings
from skipseg.training.runs.evaluate import evaluate

HISTORY = (
    "step,seconds,loss,learning_rate,dice\n10,1,1.5,0.001,\n20,2,1.1,0.001,0.4\n30,3,0.9,0.0005,\n40,4,0.8,0,0.7\n"
)


def report(made, tmp_path, history=None, count=4):
    """The page of a model that finds less of each label from case to case."""
    dataset = open_dataset(made.folder)
    truths = [read_case(dataset, case) for case in dataset.cases[:count]]

    def segment(volume):
        number, truth = next(
            (n, truth) for n, (known, truth) in enumerate(truths) if np.array_equal(known.voxels, volume.voxels)
        )
        voxels = truth.copy()
        for value in (1, 2):
            places = np.flatnonzero(truth == value)
            voxels.flat[places[: number * len(places) // 6]] = 0
        return Mask(voxels, volume.geometry, volume.source, dataset.labels)

    evaluate(segment, "rods@<3>", dataset, dataset.cases[:count], tmp_path / "out", history=history)
    return (tmp_path / "out/report.html").read_text()


def images_of(page):
    return [
        Image.open(io.BytesIO(base64.b64decode(data))) for data in re.findall(r'data:image/png;base64,([^"]+)"', page)
    ]


def test_the_page_loads_nothing_from_elsewhere(made, tmp_path):
    made.msd(4)
    page = report(made, tmp_path)
    assert not re.search(r'(?:src|href)="(?!data:)|url\(|@import|<script', page)
    assert len(page) < 1_000_000


def test_the_page_shows_numbers_every_case_and_three_overlays(made, tmp_path):
    made.msd(4)
    page = report(made, tmp_path)
    for shown in ("mean Dice", "rod", "cone", *(f"<td>a{number}</td>" for number in range(4))):
        assert shown in page
    assert "Worst case: a3" in page
    assert "Median case" in page
    assert "Best case: a0" in page
    assert len(images_of(page)) == 6  # Dice, overlays, volumes, confusion
    assert "prefers-color-scheme: dark" in page


def test_cases_are_listed_worst_first(made, tmp_path):
    made.msd(4)
    page = report(made, tmp_path)
    table = page[page.index("Cases, worst first") :]
    assert [table.index(f"<td>a{number}</td>") for number in (3, 2, 1, 0)] == sorted(
        table.index(f"<td>a{number}</td>") for number in range(4)
    )


def test_cases_without_numbers_come_last():
    cases = [
        CaseScore(case=name, labels={"rod": LabelScore(dice=dice, truth_mm3=0, mask_mm3=0)})
        for name, dice in (("none", None), ("good", 0.9), ("bad", 0.1))
    ]
    assert [case.case for case in worst_first(cases)] == ["bad", "good", "none"]


def test_learning_curves_are_drawn_when_there_is_a_history(made, tmp_path):
    made.msd(2)
    history = tmp_path / "history.csv"
    history.write_text(HISTORY)
    page = report(made, tmp_path, history, count=2)
    assert "<h2>Training</h2>" in page
    assert len(images_of(page)) == 5  # Dice, overlays, confusion, curves


def test_history_keeps_the_steps_that_were_validated(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(HISTORY)
    curves = read_history(path)
    assert curves.step == [10, 20, 30, 40]
    assert (curves.dice_step, curves.dice) == ([20, 40], [0.4, 0.7])


@pytest.mark.parametrize("text", ["step,loss\n1,2\n", "step,loss,dice\n1,much,\n", "step,loss,dice\n1\n"])
def test_a_history_without_its_columns_is_refused(tmp_path, text):
    path = tmp_path / "history.csv"
    path.write_text(text)
    with pytest.raises(DatasetError, match=r"history\.csv needs the columns"):
        read_history(path)


def test_names_cannot_inject_markup(made, tmp_path):
    made.msd(2, name="<img src=x>", labels={"0": "background", "1": "<b>rod</b>", "2": "cone"})
    page = report(made, tmp_path, count=2)
    assert "<img src=x>" not in page
    assert "<b>rod" not in page
    assert "rods@&lt;3&gt;" in page


def test_a_picture_is_its_own_overlay(made, tmp_path):
    made.pictures(3)
    page = report(made, tmp_path, count=3)
    assert "Worst case" in page
    assert "slice" not in page


def volume_of(voxels, affine, source="nifti"):
    return Volume(voxels.astype(np.float32)[None], Geometry(voxels.shape, affine), Source(source))


def test_planes_go_through_the_slices_with_most_errors():
    wrong = np.zeros((5, 6, 7), bool)
    wrong[1, 4, :3] = wrong[2, 4, 5] = True
    assert busiest(wrong) == (1, 4, 0)


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (-1, -1, 1), (1, -1, -1)])
def test_planes_show_the_patient_upright_however_the_scan_is_stored(flips):
    truth = np.zeros((60, 60, 60), np.uint8)  # in RAS order: a block to the right, front and top
    truth[40:44, 44:48, 48:50] = 1
    stored = truth[tuple(slice(None, None, flip) for flip in flips)]
    affine = np.diag([1.0 * flips[0], 2.0 * flips[1], 3.0 * flips[2], 1.0])
    affine[:3, 3] = [0 if flip > 0 else 59 * mm for flip, mm in zip(flips, (1, 2, 3), strict=True)]
    axial, coronal, sagittal = pictures(volume_of(stored, affine), stored, np.zeros_like(stored))
    assert axial.title.startswith("axial, slice 49 of 60") or axial.title.startswith("axial, slice 50 of 60")
    for plane, (rows, columns) in ((axial, (4, 4)), (coronal, (2, 4)), (sagittal, (2, 4))):
        assert plane.truth.sum() == rows * columns
    assert (axial.pixel_width, axial.pixel_height) == (1, 2)
    assert (coronal.pixel_width, coronal.pixel_height) == (1, 3)
    assert (sagittal.pixel_width, sagittal.pixel_height) == (2, 3)
    top = np.argwhere(coronal.truth)[:, 0].min()
    assert top == 10  # two slices of the patient's 60 lie above: 48 and 49 of 0..59, row 0 is the top


def test_planes_are_cut_to_the_surroundings_of_the_labels():
    where = np.zeros((200, 30, 200), bool)
    where[100:180, 10:12, 100] = True
    assert surroundings(where) == (slice(61, 219), slice(0, 36), slice(76, 125))
    assert surroundings(np.zeros((4, 5, 6), bool)) == (slice(0, 4), slice(0, 5), slice(0, 6))


def test_colour_pictures_are_shown_in_colour_and_as_stored():
    pixels = np.zeros((3, 8, 6, 1), np.float32)  # (channels, columns, rows, 1)
    pixels[0, 7, 0] = 255
    volume = Volume(pixels, Geometry((8, 6, 1), np.eye(4)), Source("png"))
    (picture,) = pictures(volume, np.zeros((8, 6, 1), np.uint8), np.zeros((8, 6, 1), np.uint8))
    assert picture.image.shape == (6, 8, 3)
    assert picture.image[0, 7].tolist() == [1, 0, 0]


def test_two_masks_of_one_case_are_shown_in_the_slices_where_they_differ():
    truth = np.zeros((30, 30, 30), np.uint8)
    truth[10:20, 10:20, 10:20] = 1
    one, other = truth.copy(), truth.copy()
    one[:, :, 12], other[11, :, :] = 0, 0
    volume = volume_of(np.random.default_rng(0).random(truth.shape), np.eye(4))
    shown = [[plane.title for plane in pictures(volume, truth, *pair)] for pair in ((one, other), (other, one))]
    assert shown[0] == shown[1]
    assert shown[0][0] == "axial, slice 13 of 30"
    assert shown[0][2] == "sagittal, slice 12 of 30"


def painted(truth, mask):
    """How many pixels of the overlay are red, and how many blue."""
    volume = volume_of(np.ones(truth.shape), np.eye(4), "png")
    png = overlay_plot(pictures(volume, truth, mask), Labels.from_names({1: "cell"}))
    pixels = np.array(Image.open(io.BytesIO(png)).convert("RGBA")).astype(int)
    redder = pixels[..., 0] - pixels[..., 2]
    return int((redder > 60).sum()), int((redder < -60).sum())


def test_where_outlines_would_cover_a_picture_errors_are_painted():
    stripes = np.zeros((300, 300, 1), np.uint8)
    stripes.reshape(50, 6, 300)[:, :3] = 1
    legend = painted(stripes, stripes)
    missed, too_much = painted(stripes, 1 - stripes)
    assert missed > 50 * legend[0]
    assert too_much > 50 * legend[1]
    block = np.zeros_like(stripes)
    block[100:200, 100:200] = 1
    assert painted(block, 1 - block)[1] == 0  # outlines, in the label's red
