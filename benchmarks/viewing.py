"""How long people wait for the page and for a large scan on it, in Debian's chromium, drawing without a GPU.

    python benchmarks/viewing.py [--shape 512 512 300] [--scans 3]

The first view: from the start of the navigation, nothing kept from before, to the drop zone being there. The scan: made
up, int16 with noise, packed; from choosing it to its picture being on the screen, and the longest time in which
the page answered nothing. A step: an arrow key, to the picture after it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from browsing import chromium, drop
from servers import serving

PATIENCE_MS = 300_000
WATCH = """
{
  let last = performance.now();
  globalThis.longest = 0;
  setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 10);
  const look = () => {
    if (document.querySelector(".drop button")) globalThis.ready = performance.now();
    else requestAnimationFrame(look);
  };
  look();
}
"""
READY = "new Promise((done) => { const look = () => (globalThis.ready ? done(ready) : setTimeout(look, 10)); look(); })"
NEXT_PICTURE = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 512, 300))
    parser.add_argument("--scans", type=int, default=3)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server, chromium() as browser:
        scan = made_up(Path(folder) / "scan.nii.gz", tuple(wanted.shape))
        print(f"{os.cpu_count()} cores, of which others took {os.getloadavg()[0]:.1f} in the last minute")
        for _ in range(wanted.scans):
            print(", ".join(f"{name} {seconds:.2f} s" for name, seconds in waited(browser, server.url, scan).items()))


def waited(browser: Browser, url: str, scan: Path) -> dict[str, float]:
    """Seconds of each, in a browser that keeps nothing."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto(url)
    page.get_by_text("Drop a scan here").wait_for()
    first = page.evaluate(READY) / 1000
    page.evaluate("longest = 0")
    before = time.perf_counter()
    drop(page, scan)
    page.locator(".place", has_text="Voxel").wait_for()
    page.locator("canvas").screenshot()  # comes when everything before it is drawn
    shown = time.perf_counter() - before
    blocked = page.evaluate("longest") / 1000
    steps = [step(page) for _ in range(9)]
    context.close()
    return {"first view": first, "scan shown": shown, "longest block": blocked, "step": statistics.median(steps)}


def step(page: Page) -> float:
    page.locator("canvas").focus()
    before = time.perf_counter()
    page.keyboard.press("ArrowLeft")
    page.evaluate(NEXT_PICTURE)
    return time.perf_counter() - before


def made_up(path: Path, shape: tuple[int, ...]) -> Path:
    """A body with an organ in noise, in the values of CT."""
    x, y, z = (np.linspace(-1, 1, length, dtype=np.float32) for length in shape)
    x, y, z = x[:, None, None], y[None, :, None], z[None, None, :]
    voxels = np.random.default_rng(0).normal(0, 12, shape).astype(np.int16)
    voxels += np.where(x**2 / 0.8 + y**2 / 0.5 < 1, 40, -1000).astype(np.int16)
    voxels += np.where((x - 0.3) ** 2 + y**2 + z**2 < 0.1, 260, 0).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([0.8, 0.8, 1.5, 1.0])), path)
    return path


if __name__ == "__main__":
    main()
