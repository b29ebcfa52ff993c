"""What is kept of a DICOM series beside its voxels, so that what answers it can refer to it."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom import Dataset


@dataclass(frozen=True, eq=False, repr=False)
class SeriesHeader:
    """The ``Source.header`` of a volume that was read from DICOM. It names a patient: it is never logged nor stored.

    ``slices`` are the headers of the SOP instances without their pixels, one for each plane of the volume's last axis
    in its order; of an enhanced multi-frame image there is exactly one.
    """

    slices: tuple[Dataset, ...]
    frames: tuple[int, ...] | None = None  # of a multi-frame image: the 1-based frame of each plane
    resampled: str | None = None  # what was done to get a regular grid, in words; None: the voxels are the stored ones
    ignored: int = 0  # files beside it that were not used: other series, no images, no DICOM
    lossy: bool = False  # its pixels were compressed with a loss, now or before
    beside: tuple[SeriesHeader, ...] = ()  # of the other channels, each a series of its own

    @property
    def study(self) -> str:
        return self._said("StudyInstanceUID")

    @property
    def series(self) -> str:
        return self._said("SeriesInstanceUID")

    @property
    def frame_of_reference(self) -> str:
        return self._said("FrameOfReferenceUID")

    @property
    def modality(self) -> str:
        return self._said("Modality")

    @property
    def instances(self) -> tuple[str, ...]:
        """Their SOP Instance UIDs, in the order of ``slices``."""
        return tuple(str(one.SOPInstanceUID) for one in self.slices)

    @property
    def read(self) -> str:
        """The UIDs of all series that were read, with commas between."""
        return ",".join(one.series for one in (self, *self.beside))

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever gets the mask should know of how its scan was read; nothing of it names anybody."""
        found = [f"resampled: {one.resampled}" for one in (self, *self.beside) if one.resampled]
        if any(one.lossy for one in (self, *self.beside)):
            found.append("its pixels were compressed with a loss")
        if self.ignored:
            found.append(f"{self.ignored} files beside the series were not used")
        return tuple(found)

    def _said(self, keyword: str) -> str:
        return str(self.slices[0].get(keyword, ""))
