"""Studies for a PACS, and a data folder with a model for them."""

from dataclasses import dataclass
from pathlib import Path

import dicom_series
import numpy as np
from bundles import small_bundle, small_plan
from pydicom import Dataset
from servers import registry_without_shipped

from skipseg.models.registry import Registry


def block_series(seed: int = 0, **elements: object) -> list[Dataset]:
    """An MR of noise with a bright block; its columns are a multiple of 8, or Orthanc would render no mask of it."""
    voxels = np.random.default_rng(seed).normal(100, 20, (13, 20, 24))
    voxels[2:8, 3:9, 4:12] += 200
    return dicom_series.series(voxels.astype(np.int16), Modality="MR", **elements)


def with_small_model(data: Path, shipped: bool = False) -> Path:
    """A data folder with a model that was trained on nothing, and perhaps with those that ship with skipseg."""
    data.mkdir(exist_ok=True)
    registry = Registry(data / "models") if shipped else registry_without_shipped(data)
    registry.add(small_bundle(data / "bundle", small_plan(), "small").folder)
    return data


@dataclass(frozen=True)
class Study:
    """What was put into the PACS."""

    study: str
    series: str

    def inputs(self, **more: object) -> dict[str, object]:
        return {"dicomweb": {"study": self.study, "series": self.series, **more}}
