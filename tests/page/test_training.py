"""The loop that the page closes: a dataset, a training that is watched, its worst cases, and the candidate promoted."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import visit
from bundles import small_bundle, small_plan
from playwright.sync_api import Page
from servers import RunningServer, registry_without_shipped, serving
from zips import zip_of

from skipseg.models.bundle import save_bundle
from skipseg.models.labels import Labels
from skipseg.models.scans.archives import ArchiveLimits
from skipseg.service.datasets.store import DatasetStore
from skipseg.training.phantoms import write_picture_dataset

MINUTES = "60"  # more than it gets: it is cancelled once it has learned something
OVER_MS = 240_000  # on a busy machine


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A model of three labels whose weights are random is live; the dataset is of eight pictures with these labels."""
    data = tmp_path / "data"
    write_picture_dataset(tmp_path / "pictures", cases=8, seed=0)
    (tmp_path / "sent.zip").write_bytes(zip_of(tmp_path / "pictures"))
    DatasetStore(data / "datasets").add_zip("pictures", tmp_path / "sent.zip", ArchiveLimits(), "anna")
    names = json.loads((tmp_path / "pictures" / "labels.json").read_text())["labels"]
    draft = small_bundle(tmp_path / "draft", small_plan(2, classes=len(names)), "cells")
    fields = {name: getattr(draft.manifest, name) for name in ("name", "task", "plan", "training")}
    labels = Labels.from_names({0: "background"} | {int(value): name for value, name in names.items() if int(value)})
    weights = draft.network().state_dict()
    bundle = save_bundle(tmp_path / "bundle", weights, lambda manifest: "", labels=labels, **fields)
    registry_without_shipped(data).add(bundle.folder)
    with serving(data, device="cpu", threads=2) as running:
        yield running


def ordered(page: Page) -> str:
    """Order a training in the form; the job's id once it learns."""
    page.get_by_role("link", name="Train a candidate").click()
    assert page.get_by_label("Dataset", exact=True).input_value() == "pictures"
    page.get_by_label("Model that gets a new version").fill("cells")
    page.get_by_label("Minutes").fill(MINUTES)
    page.get_by_role("button", name="Start the training").click()
    page.get_by_role("heading", name="Training on pictures").wait_for()
    page.locator(".plot-picture").first.wait_for(timeout=OVER_MS)
    return page.url.rpartition("/")[2]


def test_a_model_is_retrained_watched_looked_at_and_promoted_in_the_page(browser, server: RunningServer) -> None:
    with visit(browser, server.url, "/#/datasets/pictures") as seen:
        page = seen.page
        job = ordered(page)
        assert page.get_by_role("button", name="Cancel").is_visible()
        assert server.get(f"/v1/jobs/{job}").json()["ended"] is None
        assert seen.complaints() == []
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()

        page.get_by_role("heading", name="It made cells@2").wait_for(timeout=OVER_MS)
        outcome = server.get(f"/v1/jobs/{job}").json()["outcome"]
        judged = outcome["judgement"]
        page.get_by_role("heading", name="cells@2 against cells@1").wait_for()
        rows = [row.split("\t")[:3] for row in page.locator("table.judgement tbody tr").all_inner_texts()]
        assert rows[1:] == [
            [name, f"{found['dice']['a']:.3f}", f"{found['dice']['b']:.3f}"] for name, found in judged["labels"].items()
        ]
        worst = judged["changes"][0]
        assert page.locator("table.worst tbody tr").all_inner_texts()[0].split("\t")[:3] == [
            worst["case"],
            f"{worst['a']:.3f}",
            f"{worst['b']:.3f}",
        ]
        assert {one["case"] for one in judged["changes"]} == set(outcome["validation_cases"])
        assert seen.complaints() == []

        page.locator("table.worst a").first.click()
        page.get_by_role("heading", name=worst["case"], exact=True).wait_for()
        page.locator(".thumbnail img").wait_for()
        rows = [row.split("\t")[:3] for row in page.locator(".judged tbody tr").all_inner_texts()]
        both = {"All labels": worst, **worst["labels"]}
        assert rows == [[name, f"{found['a']:.3f}", f"{found['b']:.3f}"] for name, found in both.items()]
        assert page.get_by_text("frozen", exact=True).is_visible()
        page.get_by_role("link", name="Back to the training").click()

        page.get_by_role("link", name="Versions of cells").click()
        page.get_by_role("button", name="Promote version 2").click()
        page.get_by_role("dialog").get_by_role("button", name="Promote").click()
        page.get_by_text("Version 2 of cells is live.").wait_for()
        assert page.locator("tr[data-version='2']").get_by_text("live", exact=True).count() == 1
        assert seen.complaints() == []
    assert server.get("/v1/models/cells").json()["live"] == 2
