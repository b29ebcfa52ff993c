"""The view Segment: a scan is dropped, its mask is looked at."""

from pathlib import Path

import httpx
from browsing import drop


def segment(page) -> None:
    page.get_by_role("button", name="Segment", exact=True).click()
    page.locator("table.sizes").wait_for()


def volumes(page) -> dict[str, float]:
    """What the table says, in mm3."""
    rows = page.locator("table.sizes tbody tr").all()
    return {
        row.get_attribute("data-label"): float(row.locator("td").nth(1).inner_text().replace(",", "")) for row in rows
    }


def test_a_scan_that_is_dropped_gets_the_volumes_that_the_api_tells(opened, server, hippocampus: Path) -> None:
    with opened() as visit:
        drop(visit.page, hippocampus)
        segment(visit.page)
        found = volumes(visit.page)
        assert visit.complaints() == []
    query = {"model": "hippocampus", "format": "json"}
    told = httpx.post(
        f"{server.url}/v1/segmentations", params=query, files={"scan": hippocampus.read_bytes()}, timeout=60
    ).json()
    assert found == {label["name"]: float(f"{label['volume_mm3']:.4g}") for label in told["labels"]}
    assert len(found) == 2
    assert all(volume > 100 for volume in found.values())


def test_a_broken_file_is_told_in_words_and_the_next_one_works(opened, hippocampus: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(hippocampus.read_bytes()[:5000])
    with opened(color_scheme="dark") as visit:
        drop(visit.page, broken)
        visit.page.get_by_role("button", name="Segment", exact=True).click()
        words = visit.page.get_by_role("alert").inner_text()
        assert "again" in words
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
