"""How much one scan may cost, checked before memory is taken."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from skipseg.models.errors import ScanTooLarge


@dataclass(frozen=True)
class Limits:
    """Bounds on one scan; the defaults fit a whole-body CT (512 x 512 x 1500)."""

    file_bytes: int = 2 * 1024**3  # of the file as it comes, compressed or not
    voxels: int = 512 * 512 * 1600  # of all channels together
    channels: int = 64
    # Of the image and all scores on the network's grid: 13 GiB are a CT of 512 x 512 x 600 with 21 classes at its own
    # spacing. How large they get is up to the scan's spacing, so a small file can ask for much.
    network_bytes: int = 24 * 1024**3

    def check_shape(self, shape: tuple[int, ...], channels: int = 1) -> None:
        """Raise ``ScanTooLarge`` when a header claims more voxels or channels than allowed."""
        voxels = prod(int(n) for n in shape) * int(channels)
        if voxels > self.voxels:
            raise ScanTooLarge(
                f"a scan may have at most {self.voxels:,} voxels; this one claims {voxels:,}; crop or resample it"
            )
        if channels > self.channels:
            raise ScanTooLarge(f"a scan may have at most {self.channels} channels; this one claims {channels}")

    def check_network(self, grid: tuple[int, int, int], channels: int, classes: int) -> None:
        """Raise ``ScanTooLarge`` when image and scores, as float32 on the network's grid, would take more memory."""
        needed = prod(grid) * (channels + classes) * 4
        if needed > self.network_bytes:
            raise ScanTooLarge(
                f"a scan may take at most {_gib(self.network_bytes)} GiB on the network's grid; this one would take "
                f"{_gib(needed)} GiB: {channels} channels and {classes} classes of {grid[0]} x {grid[1]} x {grid[2]} "
                "voxels at the model's spacing; crop it, and check the spacing in its header"
            )

    def check_bytes(self, count: int) -> None:
        """Raise ``ScanTooLarge`` when a file is longer than allowed."""
        if count > self.file_bytes:
            raise ScanTooLarge(f"a scan may have at most {self.file_bytes:,} bytes; this one has {count:,}")


def _gib(count: int) -> str:
    return f"{count / 1024**3:,.3g}"


DEFAULT_LIMITS = Limits()
