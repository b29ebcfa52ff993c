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

    def check_shape(self, shape: tuple[int, ...], channels: int = 1) -> None:
        """Raise ``ScanTooLarge`` when a header claims more voxels or channels than allowed."""
        voxels = prod(int(n) for n in shape) * int(channels)
        if voxels > self.voxels:
            raise ScanTooLarge(
                f"a scan may have at most {self.voxels:,} voxels; this one claims {voxels:,}; crop or resample it"
            )
        if channels > self.channels:
            raise ScanTooLarge(f"a scan may have at most {self.channels} channels; this one claims {channels}")

    def check_bytes(self, count: int) -> None:
        """Raise ``ScanTooLarge`` when a file is longer than allowed."""
        if count > self.file_bytes:
            raise ScanTooLarge(f"a scan may have at most {self.file_bytes:,} bytes; this one has {count:,}")


DEFAULT_LIMITS = Limits()
