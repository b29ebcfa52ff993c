"""The view Jobs: a batch is dropped, watched to its end, looked through, and deleted."""

import csv
import gzip
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest
from browsing import drop, visit
from dicom_series import into, series, zip_of_series
from playwright.sync_api import Page
from servers import serving
from zips import zip_of

COUNT = 10
OVER_MS = 240_000  # on a busy machine, where a worker has yet to start


@pytest.fixture
def scans(real_data, tmp_path: Path) -> list[Path]:
    """Nine scans, and one that is cut short."""
    found = sorted((real_data("hippocampus") / "imagesTr").glob("[!.]*.nii.gz"), key=lambda path: path.stat().st_size)
    broken = tmp_path / "cut_short.nii.gz"
    broken.write_bytes(found[0].read_bytes()[:5000])
    return [broken, *found[: COUNT - 1]]


def order(page: Page, *files: Path) -> str:
    """Drop files, have them segmented; the job's id."""
    drop(page, *files)
    page.get_by_label("Model", exact=True).select_option("hippocampus@1")
    page.get_by_role("button", name="Segment them").click()
    page.wait_for_url(re.compile("#/jobs/[0-9a-f]+"))
    return page.url.rpartition("/")[2]


def column(page: Page, head: str) -> list[str]:
    return page.locator(f"table.items td[data-head='{head}']").all_inner_texts()


def test_a_batch_is_watched_to_its_end_and_the_worst_comes_first(opened, server, scans: list[Path]) -> None:
    with opened("/#/jobs") as visit:
        page = visit.page
        job = order(page, *scans)
        page.get_by_text(f"{COUNT - 1} of {COUNT} scans done, 1 failed", exact=True).wait_for(timeout=OVER_MS)
        page.locator("table.items tbody tr").nth(COUNT - 1).get_by_role("button").wait_for()
        states, trust = column(page, "State"), column(page, "Trust")
        assert states == ["failed"] + ["done"] * (COUNT - 1)
        assert trust[1:] == sorted(trust[1:], key=float)
        told = {one["name"]: one for one in server.get(f"/v1/jobs/{job}/items").json()["items"]}
        worst = page.locator("table.items tbody tr").first
        assert worst.get_attribute("data-scan") == "cut_short"
        assert told["cut_short"]["problem"][1:] in worst.inner_text()
        last = page.locator("table.items tbody tr").last
        volumes = told[last.get_attribute("data-scan")]["volumes_mm3"]
        shown = {label: float(last.locator(f"td[data-head='{label} (ml)']").inner_text()) for label in volumes}
        assert shown == {label: float(f"{volume / 1000:.4g}") for label, volume in volumes.items()}
        with page.expect_download() as table:
            page.get_by_role("button", name="Table (CSV)").click()
        assert len(list(csv.DictReader(table.value.path().open()))) == COUNT
        with page.expect_download() as mask:
            last.get_by_role("button").click()
        assert mask.value.suggested_filename == f"{last.get_attribute('data-scan')}.nii.gz"
        assert visit.complaints() == []
        page.reload()
        page.get_by_role("button", name="Retry what failed").wait_for()
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        page.get_by_role("heading", name="Jobs", exact=True).wait_for()
        page.get_by_role("status").get_by_text("The job is deleted.").wait_for()
    assert server.get(f"/v1/jobs/{job}").status_code == 404


def test_a_zip_is_cancelled_in_the_dark_on_a_phone_and_gone_on_with(browser, scans: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "zipped"
    folder.mkdir()
    for scan in scans[1:4]:
        (folder / scan.name).write_bytes(scan.read_bytes())
    archive = tmp_path / "scans.zip"
    archive.write_bytes(zip_of(folder))
    phone = {"color_scheme": "dark", "viewport": {"width": 360, "height": 740}}
    with serving(tmp_path, threads=1, workers=0) as server, visit(browser, server.url, "/#/jobs", **phone) as seen:
        page = seen.page
        drop(page, archive, scans[0])
        assert "one zip alone" in page.get_by_role("alert").inner_text()
        job = order(page, archive)
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
        page.get_by_role("button", name="Go on with what is left").click()
        page.get_by_text("0 of 3 scans done; it waits for a worker").wait_for()
        assert server.get(f"/v1/jobs/{job}").json()["state"] == "queued"
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert seen.complaints() == []
        page.get_by_role("link", name="All jobs").click()
        page.get_by_role("link", name="3 scans").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert seen.complaints() == []


def test_of_a_dicom_folder_every_series_is_a_scan_with_a_mask_on_its_own_grid(opened, server, tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    whole = [series(chance.integers(0, 900, (count, 40, 36)).astype(np.int16), spacing=(1, 1)) for count in (20, 24)]
    for name, each in zip(("first", "second"), whole, strict=True):
        into(tmp_path / "disc" / "DOE_JANE" / name, each)
    for junk in ("DICOMDIR", "Thumbs.db", ".DS_Store"):
        (tmp_path / "disc" / junk).write_bytes(b"of a disc or a system")
    with opened("/#/jobs") as visit:
        page = visit.page
        page.locator("input[webkitdirectory]").set_input_files(str(tmp_path / "disc"))
        page.get_by_text("44 files of DICOM").wait_for()
        page.get_by_label("Model", exact=True).select_option("hippocampus@1")
        page.get_by_text("Options", exact=True).click()
        page.get_by_label("Format of the masks").select_option("NIfTI")
        assert visit.complaints() == []
        page.get_by_role("button", name="Segment them").click()
        page.get_by_text("2 of 2 scans done", exact=True).wait_for(timeout=OVER_MS)
        page.locator("table.items tbody tr").nth(1).get_by_role("button").wait_for()
        assert "DOE" not in page.locator("main").inner_text()
        masks = []
        for row in page.locator("table.items tbody tr").all():
            with page.expect_download() as mask:
                row.get_by_role("button").click()
            masks.append(nibabel.Nifti1Image.from_bytes(unpacked(mask.value.path().read_bytes())))
    told = [segmented(server, zip_of_series(each)) for each in whole]
    for mask in sorted(masks, key=lambda one: one.shape):
        alone = told.pop(0)
        assert np.array_equal(mask.get_fdata(), alone.get_fdata())
        assert np.allclose(mask.affine, alone.affine)


def segmented(server, archive: bytes) -> nibabel.Nifti1Image:
    query = {"model": "hippocampus@1", "format": "nifti"}
    answer = server.post("/v1/segmentations", params=query, files={"scan": archive})
    return nibabel.Nifti1Image.from_bytes(unpacked(answer.content))


def unpacked(content: bytes) -> bytes:
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
