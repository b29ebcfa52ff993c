"""`skipseg demo` as a user runs it."""

import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import nibabel as nib
import numpy as np
import pytest
from jobs import children
from servers import PATIENCE_S, skipseg

pytestmark = pytest.mark.timeout(1800)  # the demo takes minutes on a slow machine


@dataclass(frozen=True)
class FinishedDemo:
    """A short demo that went on serving until Ctrl-C."""

    out: Path
    printed: str
    models: list[str]  # that the server had ready
    returncode: int
    servers: list[int]  # processes that served it
    still_there: list[int]  # those of them that Ctrl-C left


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> FinishedDemo:
    place = tmp_path_factory.mktemp("demo")
    printed = place / "printed.txt"
    command = [sys.executable, "-m", "skipseg", "demo", "--minutes", "1", "--serve", "--out", "demo"]
    with printed.open("w") as output:
        process = subprocess.Popen(command, cwd=place, stdout=output, stderr=subprocess.STDOUT)
    try:
        url = _serving_at(printed, process)
        models = httpx.get(f"{url}/readyz", timeout=PATIENCE_S).json()["models"]
        servers = children(process.pid)
        process.send_signal(signal.SIGINT)
        returncode = process.wait(PATIENCE_S)
    finally:
        process.kill()
    left = [pid for pid in servers if Path(f"/proc/{pid}").exists()]
    return FinishedDemo(place / "demo", printed.read_text(), models, returncode, servers, left)


def _serving_at(printed: Path, process: subprocess.Popen[bytes]) -> str:
    ends = time.monotonic() + 5 * PATIENCE_S
    while not (said := re.search(r"serving on (\S+) ", printed.read_text())):
        assert process.poll() is None, printed.read_text()
        assert time.monotonic() < ends, printed.read_text()
        time.sleep(0.1)
    return said[1]


def test_it_says_the_mean_dice_on_phantoms_it_did_not_train_on(demo: FinishedDemo) -> None:
    said = re.search(r"^mean Dice on 6 unseen phantoms: (\d\.\d+) \(organ ", demo.printed, flags=re.MULTILINE)
    assert said
    assert 0 < float(said[1]) <= 1


def test_no_phantom_is_in_both_datasets(demo: FinishedDemo) -> None:
    trained, unseen = (
        {path.read_bytes() for path in (demo.out / part / "imagesTr").iterdir()} for part in ("phantoms", "unseen")
    )
    assert (len(trained), len(unseen)) == (20, 6)
    assert not trained & unseen


def test_the_mask_that_came_over_http_lies_on_the_scans_grid(demo: FinishedDemo) -> None:
    scan, mask = nib.load(demo.out / "scan.nii.gz"), nib.load(demo.out / "mask.nii.gz")
    assert mask.shape == scan.shape
    assert np.array_equal(mask.affine, scan.affine)
    assert "on exactly the scan's grid" in demo.printed


def test_the_served_mask_is_the_one_that_was_evaluated(demo: FinishedDemo) -> None:
    evaluated = nib.load(demo.out / "masks" / "phantom_000.nii.gz")
    assert np.array_equal(nib.load(demo.out / "mask.nii.gz").dataobj, evaluated.dataobj)


def test_it_leaves_a_picture_and_a_report(demo: FinishedDemo) -> None:
    assert (demo.out / "overlay.png").read_bytes().startswith(b"\x89PNG")
    assert "<html" in (demo.out / "report.html").read_text()


def test_it_keeps_serving_its_model_until_ctrl_c(demo: FinishedDemo) -> None:
    assert "phantoms@1" in demo.models
    assert demo.returncode == 0
    assert len(demo.servers) == 1
    assert not demo.still_there
    assert "Traceback" not in demo.printed


def test_files_of_the_users_are_not_emptied_away(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    refused = skipseg("demo", "--out", tmp_path)
    assert refused.returncode == 2
    assert "holds files that are not the demo's" in refused.stderr
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.slow
def test_a_minute_is_enough_to_be_good(tmp_path: Path) -> None:
    done = skipseg("demo", "--minutes", 1, "--no-serve", "--out", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    said = re.search(r"unseen phantoms: (\d\.\d+)", done.stdout)
    assert said
    assert float(said[1]) >= 0.85
