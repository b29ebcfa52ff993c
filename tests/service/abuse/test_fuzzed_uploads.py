"""Damaged scans, thousands of them: refused in words, cheap, and nothing of them stays."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
from bundles import small_bundle, small_plan
from mutations import Mutant, mutants, zip_of
from process_memory import forget_the_peak, kilobytes
from prometheus_client.parser import text_string_to_metric_families
from scan_files import mha, nifti, nrrd, tiff
from servers import RunningServer, registry_without_shipped, serving

MIB = 1024**2
SCAN_MEMORY = 256 * MIB
ALLOWED = SCAN_MEMORY + 200 * MIB  # above idle: what scans may take, and what is read before it is known how much
PLANS = {"small": small_plan(), "spaced": small_plan(spacing=(1.0, 1.0, 1.0)), "flat": small_plan(2)}
SEED = 20
FORESEEN = {200, 400, 413, 415, 422}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    data = tmp_path_factory.mktemp("fuzzed")
    registry = registry_without_shipped(data)
    for name, plan in PLANS.items():
        registry.add(small_bundle(data / name, plan, name).folder)
    with serving(data, threads=2, scan_memory=SCAN_MEMORY, max_voxels=8_000_000, max_upload_bytes=16 * MIB) as running:
        yield running


@pytest.fixture(scope="module")
def originals(real_data: Callable[[str], Path], scan: bytes) -> dict[str, bytes]:
    """Real scans, where there are any, and made-up ones of every format."""
    brain = next((real_data("hippocampus") / "imagesTr").glob("hippocampus_00*.nii.gz")).read_bytes()
    cells = min((real_data("nuclei") / "images").iterdir(), key=lambda file: file.stat().st_size).read_bytes()
    voxels = np.random.default_rng(0).normal(100, 20, (12, 14, 10)).astype("f4")
    return {
        "brain.nii.gz": brain,
        "oblique.nii.gz": scan,
        "plain.nii": nifti(voxels),
        "second.nii": nifti(voxels, version=2),
        "cells.png": cells,
        "scans.zip": zip_of({"a.nii.gz": scan, "cells.png": cells}),
        "a.tif": tiff(40, 30, strip=bytes(1200)),
        "a.nrrd": nrrd(),
        "a.mha": mha(),
    }


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_damaged_scans_are_refused_or_served_and_a_good_one_is_served_after(
    server: RunningServer, originals: dict[str, bytes], scan: bytes, count: int
) -> None:
    with server.client() as client:
        before = posted(client, "spaced", scan)
        idle = kilobytes(server.pid, "VmRSS")
        forget_the_peak(server.pid)
        with ThreadPoolExecutor(4) as clients:
            statuses = Counter(clients.map(partial(refused_or_served, client), mutants(originals, count, SEED)))
        peak = (kilobytes(server.pid, "VmHWM") - idle) * 1024
        assert set(statuses) == FORESEEN
        assert peak < ALLOWED
        assert posted(client, "spaced", scan).content == before.content
        assert what_is_held(client) == {"skipseg_queue_length": 0, "skipseg_scan_memory_bytes": 0}


def refused_or_served(client: httpx.Client, mutant: Mutant) -> int:
    answer = posted(client, [*PLANS][mutant.number % len(PLANS)], mutant.data, mutant.name)
    assert answer.status_code in FORESEEN, f"mutant {mutant.number} of seed {SEED}, {mutant.name}: {answer.text}"
    if answer.status_code != 200:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["detail"]
    return answer.status_code


def posted(client: httpx.Client, model: str, scan: bytes, name: str = "scan.nii.gz") -> httpx.Response:
    return client.post("/v1/segmentations", params={"model": model}, files={"scan": (name, scan)})


def what_is_held(client: httpx.Client) -> dict[str, float]:
    families = text_string_to_metric_families(client.get("/metrics").text)
    names = ("skipseg_queue_length", "skipseg_scan_memory_bytes")
    return {sample.name: sample.value for family in families for sample in family.samples if sample.name in names}
