"""``skipseg bench``: each benchmark runs, and what it writes holds together. How fast anything is, is not tested."""

import json
from pathlib import Path

import pytest
from bundles import small_bundle

from skipseg.service.cli import run
from skipseg.training.phantoms import write_phantom_dataset


@pytest.fixture(autouse=True)
def one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks of many processes: more threads would wait for one another."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def bench(kind: str, file: Path, *options: object) -> dict:
    wanted = ["bench", kind, "--quick", "--device", "cpu", "--json", str(file), *map(str, options)]
    assert run(wanted) == 0
    return json.loads(file.read_text())


def test_inference_is_compared_with_monai_on_a_scan_of_one_tile(tmp_path: Path, capfd) -> None:
    found = bench("inference", tmp_path / "a" / "found.json", "--scan", "32x32x32", "--rounds", 1)
    assert set(found["ratios"]) == {"fast", "exact", "fewer"}
    assert all(ratio > 0 for ratio in found["ratios"].values())
    assert set(found["ways"]) == {"monai_fp32", "monai_bf16", "exact", "fast", "fewer"}
    assert found["ways"]["exact"]["as_monai"] > 0.99  # nothing is blended, so that nothing but the sums may differ
    assert min(found["label_shares"]) > 0.01
    for way in found["ways"].values():
        assert [reading["tiles"] for reading in way["readings"]] == [1]
        assert way["gflops"] > 0
        assert way["peak_share"] > 0
        assert way["ready"]["reason"]
    assert {peak["precision"] for peak in found["peaks"]} == {"fp32", "bf16"}
    table = capfd.readouterr().out
    assert "| skipseg, fast" in table
    assert found["machine"]["processor"] in table


@pytest.mark.slow
def test_a_models_masks_are_scored_in_every_way(tmp_path: Path, capfd) -> None:
    names = write_phantom_dataset(tmp_path / "phantoms", cases=2, seed=3)
    small_bundle(tmp_path / "bundle")
    (tmp_path / "cases.txt").write_text(names[1])
    scored = ["--dataset", tmp_path / "phantoms", "--cases", tmp_path / "cases.txt", "--rounds", 1]
    found = bench("inference", tmp_path / "found.json", "--network", tmp_path / "bundle", "--scan", "20x24x16", *scored)
    assert found["scored_cases"] == 1
    dice = [way["dice"] for way in found["ways"].values()]
    assert dice == pytest.approx([dice[0]] * 5, abs=0.02)
    assert found["tile"] == [16, 16, 16]
    assert found["ways"]["fast"]["readings"][0]["tiles"] == 4
    assert "mean Dice" in capfd.readouterr().out


def test_both_servers_are_asked_the_same(tmp_path: Path, capfd) -> None:
    found = bench("serving", tmp_path / "found.json", "--large", 40)
    assert set(found["served"]) == {"skipseg", "plain"}
    assert found["agreement"] > 0.95
    assert found["engine"][0]["tiles"] == 1
    for served in found["served"].values():
        assert len(served["first"]) == found["size"]["starts"]
        assert len(served["crowd"]["large"]) == found["size"]["large_clients"]
        assert all(served["crowd"][kind] for kind in ("small", "info", "health"))
    for figures in found["figures"].values():
        assert all(value > 0 for value in figures.values() if value is not None)
    assert "| plain server |" in capfd.readouterr().out


def test_a_folder_is_segmented_in_both_ways(tmp_path: Path, capfd) -> None:
    found = bench("batch", tmp_path / "found.json", "--scans", 3)
    assert [run["scans"] for way in found["ways"].values() for run in way["runs"]] == [3, 3]
    assert [run["failed"] for way in found["ways"].values() for run in way["runs"]] == [0, 0]
    assert 0 < found["busy_share"] <= 1
    assert found["agreement"] > 0.95
    assert "skipseg segment FOLDER" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["inference", "--scan", "256"], "256x256x128"),
        (["inference", "--tile", "2x2x2"], "--tile and --overlap do not fit"),
        (["inference", "--overlap", "1.5"], "--tile and --overlap do not fit"),
        (["inference", "--network", "hippocampus", "--classes", "4"], "--classes is for the untrained network"),
        (["inference", "--dataset", "."], "--dataset needs a trained model"),
        (["batch", "--scans", "3", "--folder", "."], "give one of them"),
    ],
)
def test_a_wrong_wish_is_one_line_on_standard_error(options: list[str], said: str, capfd) -> None:
    assert run(["bench", *options, "--quick"]) == 2
    told = capfd.readouterr().err
    assert said in told
    assert "Traceback" not in told
