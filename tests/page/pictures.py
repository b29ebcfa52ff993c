"""The pictures of docs/images, taken again: ``python tests/page/pictures.py docs/images``.

The scan is made up: a bent rod in noise, of the size and brightness of a hippocampus in MR. Nobody's data is in it.
"""

import io
import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

sys.path.insert(0, str(Path(__file__).parents[1]))

from browsing import chromium, drop, picture_of, segment, visit
from servers import serving

SHAPE = (36, 50, 34)
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


def made_up_scan(path: Path) -> Path:
    chance = np.random.default_rng(4)
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


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as data, serving(Path(data), threads=2) as server, chromium() as browser:
        scan = made_up_scan(Path(data) / "made-up.nii.gz")
        for name, size, scheme in (
            ("desk-light", DESK, "light"),
            ("desk-dark", DESK, "dark"),
            ("phone", PHONE, "light"),
        ):
            with visit(browser, server.url, viewport=size, color_scheme=scheme) as seen:
                drop(seen.page, scan)
                segment(seen.page)
                picture_of(seen.page)
                seen.page.evaluate("scrollTo(0, 0)")
                _save(seen.page.screenshot(), folder / f"segment-{name}.webp")
                seen.page.get_by_role("link", name="Correct this mask").click()
                seen.page.get_by_text("Paint with").wait_for()
                picture_of(seen.page)
                seen.page.evaluate("scrollTo(0, 0)")
                _save(seen.page.screenshot(), folder / f"correct-{name}.webp")


def _save(png: bytes, path: Path) -> None:
    Image.open(io.BytesIO(png)).convert("RGB").save(path, quality=82, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
