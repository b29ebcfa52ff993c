"""What a request may ask of how its scan is segmented."""

import gzip

import httpx
import nibabel
import numpy as np
import pytest
from bundles import small_bundle, small_plan
from servers import registry_without_shipped, serving

PATH = "/v1/segmentations"


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory):
    """A server of one model that was trained with mirroring along two axes."""
    folder = tmp_path_factory.mktemp("mirrored")
    bundle = small_bundle(folder / "bundle", small_plan(mirrored_axes=(0, 1)), "mirrored")
    registry_without_shipped(folder).add(bundle.folder)
    with serving(folder) as server, server.client() as client:
        yield client


def post(client: httpx.Client, scan: bytes, **query: object) -> httpx.Response:
    return client.post(PATH, params=query, files={"scan": ("a.nii.gz", scan)})


def voxels(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asanyarray(nibabel.Nifti1Image.from_bytes(gzip.decompress(answer.content)).dataobj)


def test_a_roi_is_segmented_alone_on_the_whole_scans_grid(client, scan) -> None:
    mask = voxels(post(client, scan, model="small", roi="2:19,3:20,0:12"))
    assert mask.shape == (20, 24, 13)
    assert mask[2:19, 3:20, :12].any()
    mask[2:19, 3:20, :12] = 0
    assert not mask.any()


def test_mirrored_views_and_another_overlap_change_the_answer(mirrored, scan) -> None:
    plain, turned = voxels(post(mirrored, scan)), voxels(post(mirrored, scan, tta="true"))
    denser = voxels(post(mirrored, scan, overlap=0.8))
    assert np.array_equal(plain, voxels(post(mirrored, scan, tta="false")))
    assert not np.array_equal(plain, turned)
    assert not np.array_equal(plain, denser)


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ({"roi": "1:2"}, "usage", "x0:x1,y0:y1,z0:z1"),
        ({"roi": "4:4,:,:"}, "usage", "x0 < x1"),
        ({"roi": ":,:,9:90"}, "scan_unusable", "20x24x13"),
        ({"overlap": 0.95}, "validation", "overlap"),
        ({"overlap": "nan"}, "validation", "overlap"),
        ({"tta": "perhaps"}, "validation", "tta"),
        ({"tta": "true"}, "usage", "trained without"),
    ],
)
def test_what_cannot_be_is_refused_with_words_that_help(client, scan, query, code, words) -> None:
    answer = post(client, scan, model="small", **query)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert words in answer.json()["detail"]
