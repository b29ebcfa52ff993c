"""An ensemble in the registry is a model like any other: listed, served, and asked for masks."""

import gzip
import time

import httpx
import nibabel
import numpy as np
import torch
from bundles import ensemble_of, small_bundle
from servers import in_thread, registry_without_shipped

from skipseg.models.inference.predictor import load_predictor
from skipseg.models.scans.reader import read_scan
from skipseg.service.app import create_app
from skipseg.service.settings import Settings


def test_the_server_answers_with_the_mask_of_all_members_together(tmp_path, make_scan):
    singles = [small_bundle(tmp_path / f"{seed}", seed=seed) for seed in range(3)]
    ensemble = ensemble_of(singles, tmp_path / "all")
    registry_without_shipped(tmp_path).add(ensemble.folder)
    scan = tmp_path / "scan.nii.gz"
    scan.write_bytes(make_scan())
    app = create_app(Settings(data=tmp_path, device="cpu"))
    with in_thread(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        while app.state.server.models.loading:
            time.sleep(0.01)
        answer = client.post("/v1/segmentations", files={"scan": ("scan.nii.gz", scan.read_bytes())})
    assert answer.status_code == 200
    served = np.asarray(nibabel.Nifti1Image.from_bytes(gzip.decompress(answer.content)).dataobj)
    together = load_predictor(ensemble, torch.device("cpu"), "fast").segment(read_scan(scan)).voxels
    assert np.array_equal(served, together)
    assert not np.array_equal(
        served, load_predictor(singles[0], torch.device("cpu"), "fast").segment(read_scan(scan)).voxels
    )
