"""The view Segment: a scan is dropped, and its mask is looked at, compared and downloaded."""

import gzip
from pathlib import Path

import httpx
import nibabel
import numpy as np
import pytest
from browsing import coloured, drop, picture_of, segment
from dicom_series import into, series
from PIL import Image
from servers import RunningServer

RED, CYAN = (242, 61, 61), (61, 242, 242)  # of Anterior and Posterior


def told(server: RunningServer, scan: Path, format: str) -> httpx.Response:
    query = {"model": "hippocampus", "format": format}
    files = {"scan": scan.read_bytes()}
    return server.post("/v1/segmentations", params=query, files=files)


def rows_of(page, table: str) -> dict[str, list[str]]:
    """The cells of a table by the label of their row."""
    rows = page.locator(f"table.{table} tbody tr").all()
    return {row.get_attribute("data-label"): [cell.inner_text() for cell in row.locator("td").all()] for row in rows}


def test_a_scan_that_is_dropped_shows_its_labels_and_the_volumes_that_the_api_tells(
    opened, server, hippocampus
) -> None:
    with opened() as visit:
        drop(visit.page, hippocampus)
        before = picture_of(visit.page)
        assert (before > 20).any()
        assert (coloured(before, RED), coloured(before, CYAN)) == (0, 0)
        segment(visit.page)
        after = picture_of(visit.page)
        assert min(coloured(after, RED), coloured(after, CYAN)) > 500
        found = rows_of(visit.page, "sizes")
        assert visit.complaints() == []
    labels = told(server, hippocampus, "json").json()["labels"]
    volumes = {name: float(cells[1].replace(",", "")) for name, cells in found.items()}
    assert volumes == {label["name"]: float(f"{label['volume_mm3']:.4g}") for label in labels}
    assert len(found) == 2


def test_labels_are_hidden_and_uncertainty_is_shown(opened, hippocampus: Path) -> None:
    with opened() as visit:
        drop(visit.page, hippocampus)
        segment(visit.page)
        both = picture_of(visit.page)
        visit.page.get_by_label("Show Anterior").uncheck()
        one = picture_of(visit.page)
        assert coloured(one, RED) < coloured(both, RED) / 20
        assert coloured(one, CYAN) > coloured(both, CYAN) / 2
        visit.page.get_by_label("Show where the network is unsure").check()
        assert np.abs(picture_of(visit.page, unlike=one) - one).max() > 60
        visit.page.get_by_label("Show where the network is unsure").uncheck()
        visit.page.get_by_role("button", name="3D", exact=True).click()
        assert coloured(picture_of(visit.page), CYAN) > 300
        visit.page.set_viewport_size({"width": 360, "height": 740})
        assert visit.page.evaluate("document.documentElement.scrollWidth") == 360


def test_a_mask_is_compared_with_a_truth_label_by_label(opened, server, hippocampus: Path) -> None:
    truth = hippocampus.parent.parent / "labelsTr" / hippocampus.name
    with opened() as visit:
        drop(visit.page, hippocampus)
        segment(visit.page)
        visit.page.get_by_text("Compare").click()
        visit.page.get_by_label("With a truth from a file").set_input_files(str(truth))
        visit.page.locator("table.dice").wait_for()
        found = {name: float(cells[0]) for name, cells in rows_of(visit.page, "dice").items()}
        visit.page.get_by_role("button", name="the truth").click()
        assert coloured(picture_of(visit.page), RED) > 500
        assert visit.complaints() == []
    mask = np.asarray(
        nibabel.Nifti1Image.from_bytes(gzip.decompress(told(server, hippocampus, "nifti").content)).dataobj
    )
    real = np.asarray(nibabel.load(truth).dataobj)
    for value, name in ((1, "Anterior"), (2, "Posterior")):
        dice = 2 * np.sum((mask == value) & (real == value)) / (np.sum(mask == value) + np.sum(real == value))
        assert found[name] == pytest.approx(dice, abs=0.0006)


def test_a_truth_of_another_scan_is_refused(opened, hippocampus: Path) -> None:
    others = sorted((hippocampus.parent.parent / "labelsTr").glob("*.nii.gz"))
    shape = nibabel.load(hippocampus).shape
    other = next(path for path in others if nibabel.load(path).shape != shape)
    with opened() as visit:
        drop(visit.page, hippocampus)
        segment(visit.page)
        visit.page.get_by_text("Compare").click()
        visit.page.get_by_label("With a truth from a file").set_input_files(str(other))
        assert "different grids" in visit.page.get_by_role("alert").inner_text()


def test_a_dicom_folder_travels_as_one_zip_and_is_shown_as_the_server_reads_it(opened, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 900, (20, 40, 36)).astype(np.int16)
    folder = into(tmp_path / "series", series(values, spacing=(1.0, 1.0)))
    (folder / ".DS_Store").write_bytes(b"left by a system")
    with opened() as visit:
        visit.page.locator("input[webkitdirectory]").first.set_input_files(str(folder))
        visit.page.get_by_text("DICOM series of 20 files").wait_for()
        assert (picture_of(visit.page) > 20).mean() > 0.05
        segment(visit.page)
        assert sum("/v1/volumes" in address for address in visit.asked) == 1


def test_a_picture_is_shown_as_it_is_with_its_mask_over_it(opened, tmp_path: Path) -> None:
    pixels = np.zeros((60, 90), np.uint8)
    pixels[:20] = 250  # bright above, dark below
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    with opened(color_scheme="dark") as visit:
        drop(visit.page, tmp_path / "picture.png")
        seen = picture_of(visit.page)
        lit = np.flatnonzero(seen[:, seen.shape[1] // 4].min(-1) > 150)
        assert 0 < lit.mean() < seen.shape[0] / 2
        segment(visit.page, "flat@1")
        assert np.abs(picture_of(visit.page) - seen).max() > 40
        assert "mm³" not in visit.page.locator("table.sizes").inner_text()
        assert visit.complaints() == []


def test_a_broken_file_is_told_in_words_and_the_next_one_works(opened, hippocampus: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(hippocampus.read_bytes()[:5000])
    with opened(color_scheme="dark") as visit:
        drop(visit.page, broken)
        visit.page.get_by_text("not what its format claims").wait_for()
        visit.page.get_by_role("button", name="Segment", exact=True).click()
        visit.page.locator(".problem").nth(1).wait_for()
        assert visit.complaints() == []
        drop(visit.page, hippocampus)
        segment(visit.page)


def test_files_that_are_no_scan_are_told_apart_before_anything_is_sent(opened, hippocampus, tmp_path: Path) -> None:
    slice_ = tmp_path / "slice"
    slice_.write_bytes(b"DICM")
    with opened() as visit:
        drop(visit.page, hippocampus, slice_)
        assert "different kinds" in visit.page.get_by_role("alert").inner_text()
        assert not any("segmentations" in address for address in visit.asked)


def test_the_mask_is_downloaded_in_the_format_chosen(opened, hippocampus: Path) -> None:
    with opened() as visit:
        drop(visit.page, hippocampus)
        segment(visit.page)
        for format, start in (("nifti", b"\x1f\x8b"), ("nrrd", b"NRRD")):
            visit.page.get_by_label("Format").select_option(format)
            with visit.page.expect_download() as download:
                visit.page.get_by_role("button", name="Download").click()
            assert download.value.path().read_bytes().startswith(start)
            assert download.value.suggested_filename.startswith("mask.")


def test_a_name_that_is_a_script_is_text(opened, hippocampus: Path, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>.nii.gz"
    (tmp_path / name).write_bytes(hippocampus.read_bytes())
    with opened() as visit:
        drop(visit.page, tmp_path / name)
        visit.page.get_by_text(name).wait_for()
        assert visit.page.locator("main img").count() == 0
