"""UIDs of what is written: the same result has the same ones, so that a result delivered twice is not two results."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from uuid import UUID, uuid5

import numpy as np

from skipseg.models.scans.volume import Mask

NAMESPACE = UUID("8a1b7a52-7f0f-5c0e-9d52-6a5f2f1f4b0e")  # drawn once; another one would make other UIDs


def derived(*parts: str) -> str:
    """A UID that follows from ``parts`` (PS3.5 B.2: a UUID as a number below 2.25)."""
    name = "\n".join(parts)
    return f"2.25.{uuid5(NAMESPACE, name).int}"


@dataclass(frozen=True)
class Result:
    """One result: the scan's images, the model, its labels, and what it made of the scan."""

    digest: str

    @classmethod
    def of(cls, mask: Mask) -> Result:
        """That of a mask of a DICOM scan."""
        header, maker, told = mask.source.header, mask.maker, hashlib.sha256()
        model = [] if maker is None else [maker.reference, maker.weights_sha256]
        images = [instance for one in (header, *header.beside) for instance in one.instances]
        labels = [label.model_dump_json() for label in mask.labels.all]
        parts = [*images, *model, str(header.resampled), str(mask.geometry.shape), *labels]
        told.update("\n".join(parts).encode())
        for plane in np.moveaxis(mask.voxels, 2, 0):  # one at a time: no copy of the whole
            told.update(np.ascontiguousarray(plane, dtype="<u2").data)
        return cls(told.hexdigest())

    def uid(self, *what: str) -> str:
        """That of something made of the result, such as ``instance dicom-seg``."""
        return derived(self.digest, *what)
