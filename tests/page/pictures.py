"""The pictures of docs/images, taken again: ``python tests/page/pictures.py docs/images [VIEW ...]``.

The scans are made up: a bent rod in noise, of the size and brightness of a hippocampus in MR, and phantoms for the
datasets. Nobody's data is in them.
A further view is a function that goes there, and its line in ``VIEWS``.
"""

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx
import nibabel
import numpy as np
from PIL import Image
from playwright.sync_api import Page
from scipy.ndimage import gaussian_filter

sys.path.insert(0, str(Path(__file__).parents[1]))

from browsing import chromium, drop, picture_of, segment, visit
from job_calls import archive, finished, upload
from servers import serving
from zips import zip_of

from skipseg.models.registry import Registry
from skipseg.training.phantoms import write_phantom_dataset, write_picture_dataset

SHAPE = (36, 50, 34)
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
SIZES = (("desk-light", DESK, "light"), ("desk-dark", DESK, "dark"), ("phone", PHONE, "light"))
PHANTOMS = 14
OPERATED_S = 40  # of plots that are worth a look


def made_up_scan(path: Path, seed: int = 4) -> Path:
    chance = np.random.default_rng(seed)
    x, y, z = np.mgrid[tuple(slice(length) for length in SHAPE)].astype(float)
    along = (y - 8) / (SHAPE[1] - 16)
    beyond = 12 * np.clip(np.maximum(-along, along - 1), 0, None)
    across, up = 18 - 16 * (along - 0.5) ** 2 + 2 * np.sin(3 * along), 20 - 9 * along + 3 * np.sin(5 * along)
    thick = np.clip(along, 0, 1)
    distance = np.hypot((x - across) / (4.2 + 2.2 * thick), (z - up) / (3.2 + 1.6 * thick)) + beyond
    white, grey = 250 + 200 * _smooth(chance, 4), 205 + 120 * _smooth(chance, 3)
    voxels = np.where(_smooth(chance, 3.5) > 0.012, white, grey)
    voxels = np.where((distance < 1.9) & (z < up), white, voxels)
    voxels = np.where((distance < 1.55) & (x > across + 1.5) & (z > up - 3), 95, voxels)
    voxels = np.where((distance < 1.5) & (z > up + 1) & (x < across), 110, voxels)
    voxels = gaussian_filter(np.where(distance < 1, 200, voxels), 0.75) + chance.normal(0, 6, SHAPE)
    nibabel.save(nibabel.Nifti1Image(voxels.astype(np.int16), np.eye(4)), path)
    return path


def _smooth(chance: np.random.Generator, sigma: float) -> np.ndarray:
    return gaussian_filter(chance.normal(size=SHAPE), sigma)


def to_segment(page: Page, scan: Path) -> None:
    drop(page, scan)
    segment(page)
    picture_of(page)


def to_correct(page: Page, scan: Path) -> None:
    to_segment(page, scan)
    page.get_by_role("link", name="Correct this mask").click()
    page.get_by_text("Paint with").wait_for()
    picture_of(page)


def to_jobs(page: Page, _: Path) -> None:
    page.get_by_role("link", name="Jobs").click()
    page.locator("tr[data-job]").first.wait_for()


def to_job(page: Page, scan: Path) -> None:
    to_jobs(page, scan)
    page.locator("tr[data-job] a").first.click()
    page.locator("table.items tbody tr").first.wait_for()


def to_datasets(page: Page, _: Path) -> None:
    page.get_by_role("link", name="Datasets").click()
    page.locator("[data-dataset]").first.wait_for()


def to_dataset(page: Page, scan: Path) -> None:
    to_datasets(page, scan)
    page.get_by_role("link", name="phantoms", exact=True).click()
    page.locator(".case img").nth(3).wait_for()
    page.wait_for_timeout(2000)  # those that are in sight


def to_case(page: Page, scan: Path) -> None:
    to_dataset(page, scan)
    page.get_by_role("link", name="phantom_003").click()
    page.locator(".thumbnail img").wait_for()


def to_models(page: Page, _: Path) -> None:
    page.get_by_role("link", name="Models").click()
    page.locator("[data-model]").first.wait_for()


def to_model(page: Page, scan: Path) -> None:
    to_models(page, scan)
    page.get_by_role("link", name="hippocampus", exact=True).click()
    page.locator("tr[data-version='2']").wait_for()


def to_operate(page: Page, scan: Path) -> None:
    """It has something to show while somebody segments."""
    page.get_by_role("link", name="Operate").click()
    page.locator("table.stages").wait_for()
    server = page.url.partition("#")[0]
    for second in range(OPERATED_S):
        if second % 7 < 3:
            httpx.post(f"{server}v1/segmentations?model=hippocampus@1", files={"scan": (scan.name, scan.read_bytes())})
        page.wait_for_timeout(1000)


VIEWS: dict[str, Callable[[Page, Path], None]] = {
    "segment": to_segment,
    "correct": to_correct,
    "jobs": to_jobs,
    "job": to_job,
    "datasets": to_datasets,
    "dataset": to_dataset,
    "case": to_case,
    "models": to_models,
    "model": to_model,
    "operate": to_operate,
}


def main(folder: Path, *names: str) -> None:
    with tempfile.TemporaryDirectory() as data:
        registry = Registry(Path(data) / "models")
        registry.add(registry.resolve("hippocampus@1").folder, "hippocampus", first_is_live=False)
        scan = made_up_scan(Path(data) / "made-up.nii.gz")
        with serving(Path(data), threads=2) as server, chromium() as browser:
            with server.client() as client:
                fill_datasets(client, Path(data))
                fill_jobs(client, Path(data))
            for name in names or VIEWS:
                for size, viewport, scheme in SIZES:
                    with visit(browser, server.url, viewport=viewport, color_scheme=scheme) as seen:
                        VIEWS[name](seen.page, scan)
                        seen.page.evaluate("scrollTo(0, 0)")
                        _save(seen.page.screenshot(), folder / f"{name}-{size}.webp")


def fill_jobs(client: httpx.Client, data: Path) -> None:
    """A job of eight scans of which one is cut short, and one of two."""
    scans = [made_up_scan(data / f"scan-{seed:02}.nii.gz", seed).read_bytes() for seed in range(1, 9)]
    scans[5] = scans[5][:3000]
    for some in (scans[:2], scans):
        members = {f"scan-{number:02}.nii.gz": content for number, content in enumerate(some, 1)}
        finished(client, {"upload": upload(client, archive(members))}, model="hippocampus@1")


def fill_datasets(client: httpx.Client, data: Path) -> None:
    """Phantoms in three dimensions, of which three are frozen, and pictures of some."""
    for name, write in (("phantoms", write_phantom_dataset), ("pictures", write_picture_dataset)):
        write(data / name, cases=PHANTOMS, seed=5)
        made = {"name": name, "upload": upload(client, zip_of(data / name))}
        client.post("/v1/datasets", json=made).raise_for_status()
    frozen = {"cases": ["phantom_001", "phantom_006", "phantom_009"]}
    client.post("/v1/datasets/phantoms/freeze", json=frozen).raise_for_status()


def _save(png: bytes, path: Path) -> None:
    Image.open(io.BytesIO(png)).convert("RGB").save(path, quality=82, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
