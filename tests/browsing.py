"""A page in a real browser, and everything that it asks for, says and is refused."""

import io
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

SOFTWARE_RENDERING = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]
PATIENCE_MS = 60_000
SERIOUS = {"serious", "critical"}
# Told by the browser itself: an answer of 401 is in the console whatever the page does about it.
TOLD_ANYWAY = ("Failed to load resource", "GPU stall due to ReadPixels", "Automatic fallback to software WebGL")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's own Chromium, drawing without a GPU; a machine without one skips the test."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("there is no chromium on this machine (Debian's package of this name)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=SOFTWARE_RENDERING)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page of the server's, open in a browser."""

    page: Page
    url: str
    asked: list[str] = field(default_factory=list)  # addresses of all requests
    faults: list[str] = field(default_factory=list)  # errors in the console, of scripts, of the content policy

    def strangers(self) -> list[str]:
        """Requests that left the server."""
        own = (self.url, "data:", f"blob:{self.url}")
        return [address for address in self.asked if not address.startswith(own)]

    def complaints(self) -> list[str]:
        """What axe-core finds serious or worse."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{one['id']}: {[node['html'][:200] for node in one['nodes'][:3]]}"
            for one in found
            if one["impact"] in SERIOUS
        ]


@contextmanager
def visit(browser: Browser, url: str, path: str = "/", **context: object) -> Iterator[Visit]:
    """Open a page; when it is left, nothing may have left the server and nothing may have gone wrong in it."""
    opened = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})
    opened.set_default_timeout(PATIENCE_MS)
    page = opened.new_page()
    seen = Visit(page, url)
    page.on("request", lambda request: seen.asked.append(request.url))
    page.on("pageerror", lambda error: seen.faults.append(str(error)))
    page.on("console", lambda message: _heard(seen, message))
    page.goto(f"{url}{path}")
    yield seen
    opened.close()
    assert seen.strangers() == []
    assert seen.faults == []


def _heard(seen: Visit, message) -> None:
    is_fault = message.type == "error" or "Content Security Policy" in message.text
    if is_fault and not message.text.startswith(TOLD_ANYWAY):
        seen.faults.append(message.text)


def drop(page: Page, *paths: Path) -> None:
    """Give the page files as the button "Choose files" does."""
    page.locator("input[type=file]:not([webkitdirectory])").first.set_input_files([str(path) for path in paths])


def segment(page: Page, model: str = "hippocampus@1") -> None:
    """Choose a model, press the button, and wait for the mask, which is told before it is laid over the scan."""
    if page.get_by_label("Model", exact=True).input_value() != model:
        page.get_by_label("Model", exact=True).select_option(model)
    page.get_by_role("button", name="Segment", exact=True).click()
    page.locator("table.sizes").wait_for()
    page.get_by_role("button", name="Cancel", exact=True).wait_for(state="detached")


def picture_of(page: Page, unlike: NDArray[np.int16] | None = None) -> NDArray[np.int16]:
    """What the canvas shows (rows, columns, RGB), once the scan is there and two frames in a row are the same.

    ``unlike``: where what is laid over it takes a while to come, the picture before.
    """
    page.locator(".place", has_text="Voxel").wait_for()
    canvas, before = page.locator("canvas"), b""
    for _ in range(40):
        page.wait_for_timeout(250)
        shot = canvas.screenshot()
        if shot == before and not np.array_equal(_pixels(shot), unlike):
            break
        before = shot
    return _pixels(shot)


def _pixels(shot: bytes) -> NDArray[np.int16]:
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(np.int16)


def coloured(picture: NDArray[np.int16], colour: Sequence[int]) -> int:
    """Pixels that are tinted like a label: what its colour has much of they have, against what it has little of."""
    wanted = np.array(colour)
    strong, weak = picture[..., wanted > 150], picture[..., wanted <= 150]
    return int((strong.min(-1) > weak.max(-1) + 40).sum())
