"""Every kind of skip and network goes the same way: trained by a command, bundled, served."""

import gzip
import json
import time

import httpx
import nibabel
import numpy as np
import pytest
import synthetic
import torch
from servers import in_thread, registry_without_shipped

from skipseg.models.bundle import load_bundle
from skipseg.models.inference.predictor import load_predictor
from skipseg.models.networks.skips import SKIPS
from skipseg.models.scans.reader import read_scan
from skipseg.service.app import create_app
from skipseg.service.cli import run
from skipseg.service.settings import Settings

WISHES = [
    *(["--skip", kind] for kind in SKIPS),
    *(["--network", kind] for kind in ("segresnet", "swinunetr", "unetr", "dynunet", "attentionunet")),
]


@pytest.fixture(scope="module")
def boxes(tmp_path_factory):
    return synthetic.volumes(tmp_path_factory.mktemp("boxes") / "data", (33, 36, 34), (1.0, 1.0, 1.0), labels=1)


@pytest.mark.parametrize("wish", WISHES, ids=" ".join)
def test_it_is_trained_bundled_and_served(boxes, tmp_path, wish):
    choices = tmp_path / "small.json"
    choices.write_text(json.dumps(SMALL.get(wish[1], {"widths": [4, 8, 8]}) | {"batch": 1}))
    bundle = tmp_path / "bundle"
    assert run(["train", str(boxes), "--out", str(bundle), "--epochs", "1", "--plan", str(choices), *wish]) == 0
    network = load_bundle(bundle).plan.network
    assert wish[1] in (network.kind, getattr(network, "skip", None))
    scan = next((boxes / "imagesTr").glob("*.nii.gz"))
    registry_without_shipped(tmp_path).add(bundle)
    app = create_app(Settings(data=tmp_path, device="cpu"))
    with in_thread(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        while app.state.server.models.loading:
            time.sleep(0.01)
        answer = client.post("/v1/segmentations", files={"scan": (scan.name, scan.read_bytes())})
    assert answer.status_code == 200
    served = np.asarray(nibabel.Nifti1Image.from_bytes(gzip.decompress(answer.content)).dataobj)
    assert np.array_equal(
        served, load_predictor(load_bundle(bundle), torch.device("cpu"), "fast").segment(read_scan(scan)).voxels
    )


SMALL = {
    "segresnet": {"features": 8},
    "swinunetr": {"features": 12},
    "unetr": {"features": 4},
    "attentionunet": {"widths": [4, 8, 8]},
}


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (["--skip", "subtract"], "add, attention, concat, none"),
        (["--network", "transformer"], "swinunetr"),
        (["--network", "segresnet", "--skip", "add"], "skip is a choice of unet"),
    ],
    ids=str,
)
def test_what_there_is_not_is_refused_by_name(boxes, tmp_path, wish, words, capfd):
    assert run(["train", str(boxes), "--out", str(tmp_path / "bundle"), "--epochs", "1", *wish]) == 2
    told = capfd.readouterr().err
    assert words in told
    assert "Traceback" not in told


def test_an_encoder_that_is_not_told_apart_is_not_frozen(boxes, tmp_path, capfd):
    choices = tmp_path / "small.json"
    choices.write_text(json.dumps({"features": 8, "batch": 1}))
    base, out = str(tmp_path / "base"), str(tmp_path / "out")
    wish = ["--plan", str(choices), "--network", "segresnet"]
    assert run(["train", str(boxes), "--out", base, "--epochs", "1", *wish]) == 0
    assert run(["train", str(boxes), "--out", out, "--epochs", "1", "--from", base, "--freeze-encoder"]) == 2
    assert "leave it out" in capfd.readouterr().err
