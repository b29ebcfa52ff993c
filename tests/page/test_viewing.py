"""How a scan is drawn: as much as is needed and no more, whatever is laid over it."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from browsing import coloured, drop, picture_of, segment
from numpy.typing import NDArray

RED = (242, 61, 61)  # of Anterior
COUNT_COLOURED = """
globalThis.coloured = 0;
const { texStorage3D } = WebGL2RenderingContext.prototype;
WebGL2RenderingContext.prototype.texStorage3D = function (target, levels, format, ...size) {
  if (format === this.RGBA8) coloured += size.reduce((product, length) => product * length);
  return texStorage3D.call(this, target, levels, format, ...size);
};
"""


def test_voxels_are_coloured_once_and_only_where_something_has_changed(opened, hippocampus: Path) -> None:
    """Without a GPU, colouring is what a large scan takes time for."""
    voxels = np.prod(nibabel.load(hippocampus).shape)
    with opened() as visit:
        page = visit.page
        page.add_init_script(COUNT_COLOURED)
        page.reload()

        def rounds() -> float:
            picture_of(page)
            return page.evaluate("coloured") / voxels

        drop(page, hippocampus)
        assert rounds() == pytest.approx(1, abs=0.05)  # the scan
        segment(page)
        assert rounds() == pytest.approx(2, abs=0.05)  # its mask
        page.get_by_label("Show Anterior").uncheck()
        assert rounds() == pytest.approx(3, abs=0.05)  # the mask
        page.get_by_role("button", name="Coronal").click()
        assert rounds() == pytest.approx(3, abs=0.05)


def test_the_mask_is_as_opaque_as_the_slider_says_at_last(opened, hippocampus: Path) -> None:
    with opened() as visit:
        drop(visit.page, hippocampus)
        segment(visit.page)
        slider = visit.page.get_by_label("Opacity of the mask")
        for share in ("0.4", "0.3", "0.1", "0"):
            slider.fill(share)
        assert coloured(picture_of(visit.page), RED) == 0
        slider.fill("1")
        assert coloured(picture_of(visit.page), RED) > 500


def test_another_channel_and_another_contrast_are_seen(opened, tmp_path: Path) -> None:
    along = np.broadcast_to(np.linspace(0, 900, 40)[:, None, None], (40, 30, 20)).astype(np.int16)
    scan = tmp_path / "channels.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.stack([along, 900 - along], -1), np.eye(4)), scan)
    with opened() as visit:
        page = visit.page
        drop(page, scan)
        first = picture_of(page)
        page.get_by_label("Channel", exact=True).select_option("Channel 2")
        assert differing(picture_of(page), first) > 0.1
        page.get_by_label("Channel", exact=True).select_option("Channel 1")
        assert differing(picture_of(page), first) == 0
        box = page.locator("canvas").bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.15, box["y"] + box["height"] * 0.1)
        page.mouse.down(button="right")
        page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.3, steps=4)
        page.mouse.up(button="right")
        page.mouse.move(0, 0)
        assert differing(picture_of(page), first) > 0.1


def differing(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    """The share of pixels that look different."""
    return float(np.mean(np.abs(one - other).max(-1) > 60))
