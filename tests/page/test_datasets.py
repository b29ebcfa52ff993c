"""The view Datasets: one is made of a zip, looked through, checked, and loses a case."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import coloured, drop, visit
from bundles import small_bundle, small_plan
from PIL import Image
from servers import RunningServer, registry_without_shipped, serving
from zips import zip_of

from skipseg.training.phantoms import write_picture_dataset

CASES = 6


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    data = tmp_path_factory.mktemp("data")
    registry_without_shipped(data).add(small_bundle(tmp_path_factory.mktemp("bundle") / "small", small_plan(2)).folder)
    with serving(data, threads=1, workers=0) as running:
        yield running


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A dataset in which two labels are equal, and nothing else is wrong."""
    folder = tmp_path / "pictures"
    write_picture_dataset(folder, cases=CASES, seed=0)
    (folder / "images" / "picture_001.png").write_bytes(_other_noise(folder / "images" / "picture_000.png"))
    (folder / "labels" / "picture_001.png").write_bytes((folder / "labels" / "picture_000.png").read_bytes())
    return folder


def _other_noise(path: Path) -> bytes:
    pixels = np.asarray(Image.open(path)).astype(np.int16)
    noisy = pixels + np.random.default_rng(0).integers(-3, 4, pixels.shape)
    buffer = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(folder: Path, name: str) -> Path:
    path = folder.parent / name
    path.write_bytes(zip_of(folder))
    return path


def test_a_dropped_zip_becomes_a_dataset_that_is_looked_through(browser, server, pictures: Path) -> None:
    with visit(browser, server.url, "/#/datasets") as seen:
        page = seen.page
        page.get_by_text("No datasets yet").wait_for()
        assert seen.complaints() == []
        drop(page, zipped(pictures, "Made Up (2).zip"))
        assert page.get_by_label("Its name").input_value() == "made-up-2"
        page.get_by_label("Its name").fill("made-up")
        page.get_by_role("button", name="Make the dataset").click()
        page.get_by_role("heading", name="made-up", exact=True).wait_for()
        page.locator(".case img").nth(CASES - 1).wait_for()
        sides = page.locator(".case img").evaluate_all("all => all.map(i => Math.max(i.naturalWidth, i.naturalHeight))")
        assert sides == [256] * CASES
        shown = np.asarray(Image.open(io.BytesIO(page.locator(".case img").first.screenshot())).convert("RGB"))
        colours = [label["colour"] for label in server.get("/v1/datasets/made-up").json()["labels"][1:]]
        assert all(coloured(shown.astype(np.int16), colour) > 50 for colour in colours)
        page.get_by_role("button", name="Check every file").click()
        page.get_by_text("0 errors, 1 warning. Models can be trained on it as it is.").wait_for()
        found = page.locator(".defects li[data-code='duplicate_label']").inner_text()
        told = server.get("/v1/datasets/made-up?check=true").json()["defects"][0]
        assert told["problem"] in found
        assert told["mend"] in found
        assert seen.complaints() == []
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert seen.complaints() == []


def test_a_case_is_deleted_and_the_change_is_told(browser, server, pictures: Path) -> None:
    upload = server.post("/v1/uploads", files={"file": ("a.zip", zip_of(pictures))}).json()["id"]
    server.post("/v1/datasets", json={"name": "lossy", "upload": upload})
    server.post("/v1/datasets/lossy/freeze", json={"cases": ["picture_003"]})
    with visit(browser, server.url, "/#/datasets/lossy") as seen:
        page = seen.page
        page.get_by_role("button", name="Frozen", exact=True).click()
        assert page.locator(".case a").all_inner_texts() == ["picture_003"]
        page.get_by_role("link", name="picture_003").click()
        page.get_by_text("it cannot be deleted").wait_for()
        assert page.get_by_role("button", name="Delete this case").count() == 0
        page.get_by_role("link", name="The next one").click()
        page.get_by_role("heading", name="picture_004").wait_for()
        page.locator(".thumbnail img").wait_for()
        assert seen.complaints() == []
        page.get_by_role("button", name="Delete this case").click()
        page.get_by_role("dialog").get_by_role("button", name="Keep it").click()
        assert server.get("/v1/datasets/lossy").json()["case_count"] == CASES
        page.get_by_role("button", name="Delete this case").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
        page.get_by_role("heading", name="lossy", exact=True).wait_for()
        changes = page.locator("table.trail tbody tr").all_inner_texts()
        assert [change.split("\t")[:3] for change in changes] == [
            ["Case removed", "picture_004", "anonymous"],
            ["1 case frozen", "", "anonymous"],
            [f"Made of a zip with {CASES} cases", "", "anonymous"],
        ]
        page.goto(f"{server.url}/#/datasets/lossy/picture_004")
        page.get_by_role("alert").get_by_text("There is no such case").wait_for()
    assert "picture_004" not in [one["name"] for one in server.get("/v1/datasets/lossy").json()["cases"]]


def test_a_zip_that_is_refused_says_what_to_mend_and_a_name_that_is_taken_costs_no_second_upload(
    browser, server, pictures: Path, tmp_path: Path
) -> None:
    whole = zipped(pictures, "whole.zip")
    (pictures / "images" / "picture_002.png").write_bytes(b"no picture")
    server.post("/v1/datasets", json={"name": "taken", "labels": {"1": "a"}, "channels": ["b"]})
    with visit(browser, server.url, "/#/datasets") as seen:
        page = seen.page
        drop(page, pictures / "images" / "picture_003.png")
        page.get_by_text("This is no zip of a dataset").wait_for()
        drop(page, zipped(pictures, "broken.zip"))
        page.get_by_role("button", name="Make the dataset").click()
        words = page.locator(".defects li[data-code='unreadable']").inner_text()
        assert "picture_002" in words
        assert "What to do:" in words
        assert seen.complaints() == []
        page.get_by_role("button", name="Choose another").click()
        drop(page, whole)
        page.get_by_label("Its name").fill("taken")
        sent = len([address for address in seen.asked if address.endswith("/v1/uploads")])
        page.get_by_role("button", name="Make the dataset").click()
        page.get_by_text("there is a dataset of this name already", exact=False).wait_for()
        page.get_by_label("Its name").fill("free")
        page.get_by_role("button", name="Make the dataset").click()
        page.get_by_role("heading", name="free", exact=True).wait_for()
        assert len([address for address in seen.asked if address.endswith("/v1/uploads")]) == sent + 1
    assert server.get("/v1/datasets/broken").status_code == 404
    assert server.get("/v1/datasets/free").json()["case_count"] == CASES
