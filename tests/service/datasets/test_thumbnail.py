"""Small pictures of kept cases: what they show, what they cost, and that they go with their case."""

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from bundles import small_bundle
from numpy.typing import NDArray
from PIL import Image
from servers import registry_without_shipped, serving
from zips import zip_of

from skipseg.models.errors import DatasetUnknown
from skipseg.service.datasets import thumbnail as module
from skipseg.service.datasets.thumbnail import thumbnail
from skipseg.training.phantoms import make_picture, write_picture_dataset


def pixels(png: bytes) -> NDArray[np.int16]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(np.int16)


def red(png: bytes) -> float:
    """The share of pixels that are tinted like the first label."""
    shown = pixels(png)
    return float((shown[..., 0] > shown[..., 1:].max(-1) + 30).mean())


def test_the_slice_with_most_of_the_label_is_shown_and_painted_where_it_is(store, put) -> None:
    put(0)  # voxels of 1 x 1 x 2 mm; in-plane 10 x 9 mm are shown, of which the label has 3 x 3
    png = thumbnail(store, "rods", "case_0")
    assert pixels(png).shape == (256, round(256 * 9 / 10), 3)
    assert red(png) == pytest.approx(9 / 90, rel=0.25)
    rows, columns = np.nonzero(pixels(png)[..., 0] > pixels(png)[..., 1:].max(-1) + 30)
    # x from 2 to 5 of 9 from the left; y from 0 to 3 of 10 from below: both as one looks at a person lying
    assert (columns.mean() / 230, rows.mean() / 256) == pytest.approx((3.5 / 9, 1 - 1.5 / 10), abs=0.03)


def test_it_is_drawn_once_and_anew_when_the_label_is_another(store, put, files, monkeypatch) -> None:
    put(0)
    before = thumbnail(store, "rods", "case_0")
    store.put_case("rods", "case_0", [], files.label(0, value=2), "ben")
    after = thumbnail(store, "rods", "case_0")
    assert red(before) > 0.05
    assert red(after) < 0.01
    monkeypatch.setattr(module, "read_case", lambda *_: pytest.fail("it was drawn again"))
    assert thumbnail(store, "rods", "case_0") == after


def test_it_is_gone_with_its_case_also_when_that_was_deleted_meanwhile(store, put, monkeypatch) -> None:
    put(0, 1)
    thumbnail(store, "rods", "case_0")
    store.remove_case("rods", "case_0", "ben")
    read = module.read_case

    def deleted_meanwhile(*asked):
        found = read(*asked)
        store.remove_case("rods", "case_1", "ben")
        return found

    monkeypatch.setattr(module, "read_case", deleted_meanwhile)
    thumbnail(store, "rods", "case_1")
    assert list(store.folder("rods").rglob("*.png")) == []
    with pytest.raises(DatasetUnknown):
        thumbnail(store, "rods", "case_1")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    registry_without_shipped(data).add(small_bundle(tmp_path_factory.mktemp("bundle") / "small").folder)
    with serving(data, threads=1, workers=0) as server, server.client() as client:
        yield client


def made(client: httpx.Client, folder: Path) -> None:
    write_picture_dataset(folder, cases=2, seed=0)
    upload = client.post("/v1/uploads", files={"file": ("dataset.zip", zip_of(folder))}).json()["id"]
    assert client.post("/v1/datasets", json={"name": "pictures", "upload": upload}).status_code == 201


def test_a_picture_is_shown_as_it_is_looked_at(client, tmp_path) -> None:
    made(client, tmp_path / "pictures")
    answer = client.get("/v1/datasets/pictures/cases/picture_001/thumbnail")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(answer.content) < 100_000
    truth = make_picture(1).labels[:, :, 0].T
    shown = pixels(answer.content)
    assert abs(shown.shape[0] / shown.shape[1] - truth.shape[0] / truth.shape[1]) < 0.01
    smaller = np.asarray(Image.fromarray(shown.astype(np.uint8)).resize(truth.shape[::-1])).astype(np.int16)
    tinted = smaller.max(-1) - smaller.min(-1) > 40
    assert (tinted == (truth > 0)).mean() > 0.97


@pytest.mark.parametrize(
    ("path", "status"), [("pictures/cases/nobody", 404), ("none/cases/a", 404), ("a/cases/b.c", 422)]
)
def test_what_is_not_there_is_a_problem(client, path: str, status: int) -> None:
    answer = client.get(f"/v1/datasets/{path}/thumbnail")
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
