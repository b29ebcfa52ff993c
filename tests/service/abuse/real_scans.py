"""Loaded by schemathesis: what it would send as a valid request gets a scan that is one, for a model that is there.

Its own idea of a file is a few random bytes, which no reader lets past; behind the reader is where the rest happens.
"""

from random import Random

import numpy as np
import schemathesis
from scan_files import RAMP, mha, nifti, nrrd, png, tiff, zipped
from schemathesis import GenerationMode

SCANS = [
    zipped(nifti(np.arange(20 * 24 * 13, dtype=np.float32).reshape(20, 24, 13))),
    nifti(RAMP),
    nifti(np.stack([RAMP, RAMP], axis=-1)),
    png(40, 30),
    tiff(),
    nrrd(),
    mha(),
]
PICKS = {
    "model": ["small", "small@2", "pair", "flat"],
    "format": ["nifti", "nrrd", "mha", "png", "tiff", "json"],
    "overlap": [0, 0.3, 0.94],
    "tta": [False, False, True],
    "roi": ["2:18,:,3:", "0:3,0:3", ":,:,:", "1:2,1:2,1:2"],
}


@schemathesis.hook
def before_call(ctx, case, kwargs) -> None:
    if case.operation.path != "/v1/segmentations" or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    chance = Random(repr((case.query, case.body)))
    case.body = {"scan": chance.sample(SCANS, chance.choice([1, 1, 1, 2]))}
    query = dict(case.query or {})
    case.query = query | {name: chance.choice(picks) for name, picks in PICKS.items() if name in query}
