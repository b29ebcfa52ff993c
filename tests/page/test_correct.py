"""The view Correct: a mask is painted on, survives a reload, and becomes a case that models learn from."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from browsing import drop, picture_of, segment

from skipseg.training.datasets.dataset import open_dataset, read_case

KEPT = """import(new URL('page/js/correct/drafts.js', document.baseURI).href).then(({ drafts }) => drafts())
    .then((kept) => kept.map(({ places }) => places.filter(Boolean).length))"""


def open_drawing(page, scan: Path) -> None:
    drop(page, scan)
    segment(page)
    page.get_by_role("link", name="Correct this mask").click()
    page.get_by_text("Paint with").wait_for()
    picture_of(page)


def stroke(page) -> None:
    """Across the upper left plane."""
    box = page.locator("canvas").bounding_box()
    x, y = box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.12
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + box["width"] * 0.08, y, steps=6)
    page.mouse.up()


def counts(page) -> list[int]:
    return [int(each.inner_text().split()[0].replace(",", "")) for each in page.locator(".count").all()]


def changed(page, before: list[int]) -> list[int]:
    """The counts once they are others."""
    for _ in range(240):
        page.wait_for_timeout(250)
        if counts(page) != before:
            return counts(page)
    pytest.fail("no stroke was counted")


def wait_until_kept(page) -> None:
    """Until this browser has the drawing that is told of."""
    for _ in range(240):
        if sum(counts(page)) in page.evaluate(KEPT):
            return
        page.wait_for_timeout(250)
    pytest.fail("the drawing was not kept")


def test_a_corrected_mask_becomes_a_case_on_the_scans_own_grid(opened, server, hippocampus: Path) -> None:
    with opened() as visit:
        page = visit.page
        open_drawing(page, hippocampus)
        before = counts(page)
        stroke(page)
        painted = changed(page, before)
        assert painted[0] > before[0]
        assert visit.complaints() == []
        page.get_by_label("Name of the case").fill("mended")
        page.get_by_role("button", name="Save as a case").click()
        page.get_by_text("Saved: case mended").wait_for()
        page.get_by_label("Name of the case").fill("again")  # one scan is one case
        page.get_by_role("button", name="Save as a case").click()
        page.get_by_text("This scan is in the dataset already").wait_for()
        page.get_by_role("button", name="Save as a case").click()
        page.get_by_text("Replaced: case mended").wait_for()
        page.reload()
        page.get_by_text("No mask is in hand").wait_for()  # what is saved is not kept in the browser any more
    case = server.get("/v1/datasets/hippocampus-corrected").json()["cases"]
    assert [each["name"] for each in case] == ["mended"]
    dataset = open_dataset(server.log.parent / "datasets" / "hippocampus-corrected")
    image, truth = read_case(dataset, dataset.cases[0])
    scan = nibabel.load(hippocampus)
    assert np.array_equal(image.voxels[0], scan.get_fdata())
    assert np.array_equal(image.geometry.affine, scan.affine)
    assert [int(np.sum(truth == value)) for value in (1, 2)] == painted


def test_a_drawing_survives_a_reload_and_is_undone(opened, hippocampus: Path) -> None:
    with opened(color_scheme="dark") as visit:
        page = visit.page
        open_drawing(page, hippocampus)
        model = counts(page)
        page.get_by_text("Erase").click()
        page.locator("canvas").focus()
        page.keyboard.press("Space")  # the cross is in the middle of the mask
        erased = changed(page, model)
        assert sum(erased) < sum(model)
        wait_until_kept(page)
        page.reload()
        page.get_by_text("was not saved as a case yet").wait_for()
        page.get_by_text("Paint with").wait_for()
        assert counts(page) == erased
        assert visit.complaints() == []
        page.get_by_text("Posterior").click()
        stroke(page)
        more = changed(page, erased)
        page.keyboard.press("Control+z")
        assert changed(page, more) == erased
        page.get_by_role("button", name="Discard it").click()
        page.get_by_text("was not saved as a case yet").wait_for(state="detached")
        page.get_by_text("Paint with").wait_for()
        assert counts(page) == model


def test_a_mask_that_the_model_found_nothing_for_is_painted_and_saved(opened, server, hippocampus: Path) -> None:
    with opened() as visit:
        page = visit.page
        drop(page, hippocampus)
        page.get_by_text("Options").click()
        page.get_by_label("Only this box").fill("0:6,0:6,0:6")  # a corner without anything
        segment(page)
        page.get_by_role("link", name="Correct this mask").click()
        page.get_by_text("Paint with").wait_for()
        picture_of(page)
        assert counts(page) == [0, 0]
        stroke(page)
        painted = changed(page, [0, 0])
        page.get_by_label("Dataset", exact=True).select_option("A new dataset…")
        page.get_by_label("Its name").fill("found-nothing")
        page.get_by_role("button", name="Save as a case").click()
        page.get_by_text("Saved: case").wait_for()
    assert saved_in(server, "found-nothing")[1] == {1: painted[0]}


def test_an_empty_mask_is_painted_with_the_labels_of_a_dataset_on_the_scans_own_grid(opened, server, tmp_path) -> None:
    labels = {"3": "kidney", "7": "spleen"}
    body = {"name": "painted", "labels": labels, "channels": ["CT"]}
    assert server.post("/v1/datasets", json=body).status_code == 201
    affine = np.array([[0, -1.5, 0.2, 4], [-0.9, 0, 0, -7], [0, 0.1, 2.5, 30], [0, 0, 0, 1]])
    values = np.random.default_rng(0).integers(-500, 900, (40, 30, 20)).astype(">i2")
    nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / "oblique.nii")
    with opened() as visit:
        page = visit.page
        drop(page, tmp_path / "oblique.nii")
        picture_of(page)
        page.get_by_text("Paint by hand").click()
        page.get_by_label("Labels of").select_option("The dataset painted")
        assert visit.complaints() == []
        page.get_by_role("button", name="Paint on an empty mask").click()
        page.get_by_text("Paint with").wait_for()
        picture_of(page)
        page.get_by_text("spleen").click()
        stroke(page)
        painted = changed(page, [0, 0])
        wait_until_kept(page)
        page.reload()
        page.get_by_text("was not saved as a case yet").wait_for()
        page.get_by_text("Paint with").wait_for()
        assert counts(page) == painted
        page.get_by_role("button", name="Save as a case").click()
        page.get_by_text("of the dataset painted").wait_for()
        assert not any("segmentations" in address for address in visit.asked)
    image, truth = saved_in(server, "painted")
    assert truth == {7: painted[1]}
    assert np.allclose(image.geometry.affine, affine, atol=1e-5)


def saved_in(server, name: str) -> tuple:
    """The only case of a dataset: its image, and how many voxels each label has."""
    dataset = open_dataset(server.log.parent / "datasets" / name)
    image, truth = read_case(dataset, dataset.cases[0])
    values, voxels = np.unique(truth[truth > 0], return_counts=True)
    return image, dict(zip(values.tolist(), voxels.tolist(), strict=True))


def test_without_a_mask_the_way_to_one_is_shown(opened) -> None:
    with opened("/#/correct") as visit:
        visit.page.get_by_role("link", name="Segment a scan").click()
        visit.page.get_by_text("Drop a scan here").wait_for()
