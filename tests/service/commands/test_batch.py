"""Many scans: failures are written down, the rest go on, and a second run finishes the first."""

import csv
import errno
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from bundles import small_bundle, small_plan
from PIL import Image

from skipseg.models.errors import UsageError
from skipseg.models.inference.backends.eager import Eager
from skipseg.models.inference.predictor import Predictor
from skipseg.models.scans.masks import encode_mask
from skipseg.models.scans.reader import read_channels
from skipseg.service.commands.batch import Batch
from skipseg.service.commands.cases import collect
from skipseg.service.commands.folder_ledger import LEDGER
from skipseg.service.commands.results import RESULTS


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor(small_bundle(tmp_path_factory.mktemp("bundle") / "small"), "cpu")


@pytest.fixture
def scans(tmp_path: Path, make_scan) -> Path:
    folder = tmp_path / "scans"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(("a", "b", "sub/c")):
        (folder / f"{name}.nii.gz").write_bytes(make_scan((16 + number, 20, 12), seed=number))
    (folder / "broken.nii.gz").write_bytes(b"no scan at all")
    return folder


def run(
    predictor: Predictor, scans: Path, out: Path, resume: bool = False, model: str = "small 1", format=None, told=None
):
    steps: list[tuple[int, int]] = []

    def progress(*step: int) -> None:
        steps.append(step)
        if told is not None:
            told(*step)

    Batch(predictor, model, out, format).run(collect([scans], 1, out), resume, progress)
    return rows(out), steps


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / RESULTS).open(newline="") as file:
        return {row["scan"]: row for row in csv.DictReader(file)}


def test_every_scan_has_a_row_and_every_good_one_a_mask_in_the_same_tree(predictor, scans, tmp_path) -> None:
    found, steps = run(predictor, scans, tmp_path / "out")
    assert states(found) == {"a": "done", "b": "done", "broken": "failed", "sub/c": "done"}
    assert found["sub/c"]["mask"] == "sub/c.nii.gz"
    assert found["sub/c"]["shape"] == "18x20x12"
    assert "nifti" in found["broken"]["problem"]
    assert steps[-1] == (4, 4)
    mask, scan = nibabel.load(tmp_path / "out" / "sub" / "c.nii.gz"), nibabel.load(scans / "sub" / "c.nii.gz")
    assert mask.affine.tobytes() == scan.affine.tobytes()


def test_the_table_tells_the_volume_of_every_label(predictor, scans, tmp_path) -> None:
    row = run(predictor, scans, tmp_path / "out")[0]["a"]
    mask = nibabel.load(tmp_path / "out" / "a.nii.gz")
    voxel = abs(float(nibabel.affines.voxel_sizes(mask.affine).prod()))
    for value in (1, 2):
        counted = (mask.dataobj[:] == value).sum() * voxel
        assert float(row[f"label {value} mm3"]) == pytest.approx(counted, rel=0.05)


def test_a_second_run_does_only_what_is_missing(predictor, scans, tmp_path, make_scan) -> None:
    out = tmp_path / "out"
    run(predictor, scans, out)
    (out / "b.nii.gz").unlink()
    (scans / "broken.nii.gz").write_bytes(make_scan((16, 20, 12)))
    kept = (out / "a.nii.gz").stat().st_mtime_ns
    found, _ = run(predictor, scans, out, resume=True)
    assert {row["state"] for row in found.values()} == {"done"}
    assert len(found) == 4
    assert (out / "b.nii.gz").is_file()
    assert (out / "a.nii.gz").stat().st_mtime_ns == kept


def test_masks_of_another_model_are_made_again(predictor, scans, tmp_path) -> None:
    out = tmp_path / "out"
    run(predictor, scans, out)
    made = (out / "a.nii.gz").stat().st_mtime_ns
    found, _ = run(predictor, scans, out, resume=True, model="small 2")
    assert found["a"]["model"] == "small 2"
    assert (out / "a.nii.gz").stat().st_mtime_ns > made


def test_a_table_that_was_damaged_is_written_anew_and_nothing_is_done_again(predictor, scans, tmp_path) -> None:
    out = tmp_path / "out"
    whole, _ = run(predictor, scans, out)
    text = (out / RESULTS).read_text()
    (out / RESULTS).write_text(text[: text.index("sub/c") + 9])
    made = (out / "sub" / "c.nii.gz").stat().st_mtime_ns
    found, _ = run(predictor, scans, out, resume=True)
    assert found == whole
    assert (out / "sub" / "c.nii.gz").stat().st_mtime_ns == made


@pytest.mark.parametrize("resume", [False, True])
def test_a_table_of_something_else_is_left_alone(predictor, scans, tmp_path, resume: bool) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / RESULTS).write_text("name,price\nbread,3\n")
    with pytest.raises(UsageError, match=r"results\.csv"):
        run(predictor, scans, out, resume)
    assert (out / RESULTS).read_text() == "name,price\nbread,3\n"


def test_without_resuming_all_is_done_again(predictor, scans, tmp_path) -> None:
    out = tmp_path / "out"
    run(predictor, scans, out)
    made = (out / "a.nii.gz").stat().st_mtime_ns
    found, _ = run(predictor, scans, out, resume=False)
    assert found["a"]["state"] == "done"
    assert (out / "a.nii.gz").stat().st_mtime_ns > made


def test_a_folder_is_segmented_into_by_one_run_at_a_time(predictor, scans, tmp_path) -> None:
    out, refusals = tmp_path / "out", []

    def second() -> None:
        with pytest.raises(UsageError, match="another command") as refused:
            run(predictor, scans, out)
        refusals.append(refused)

    found, _ = run(AtA(predictor, "network", second), scans, out)
    assert states(found) == {"a": "done", "b": "done", "broken": "failed", "sub/c": "done"}
    assert refusals


def test_masks_come_in_the_format_that_is_asked_for(predictor, scans, tmp_path) -> None:
    found, _ = run(predictor, scans, tmp_path / "out", format="nrrd")
    assert found["a"]["mask"] == "a.nrrd"
    assert (tmp_path / "out" / "a.nrrd").read_bytes().startswith(b"NRRD")


def test_a_scan_that_changed_is_done_again(predictor, scans, tmp_path, make_scan) -> None:
    out = tmp_path / "out"
    before, _ = run(predictor, scans, out)
    (scans / "a.nii.gz").write_bytes(make_scan((16, 20, 12), seed=9))
    after, _ = run(predictor, scans, out, resume=True)
    assert before["a"]["sha256"] != after["a"]["sha256"]
    assert before["b"] == after["b"]


def test_another_patients_scan_of_the_same_name_is_not_taken_as_done(predictor, scans, tmp_path, make_scan) -> None:
    out, others = tmp_path / "out", tmp_path / "others"
    run(predictor, scans, out)
    others.mkdir()
    (others / "a.nii.gz").write_bytes(make_scan((24, 20, 12), seed=9))
    found, steps = run(predictor, others, out, resume=True)
    assert found["a"]["shape"] == "24x20x12"
    assert nibabel.load(out / "a.nii.gz").shape == (24, 20, 12)
    assert steps == [(1, 1)]


def test_another_format_is_made_of_scans_that_are_done(predictor, scans, tmp_path) -> None:
    out = tmp_path / "out"
    run(predictor, scans, out)
    found, _ = run(predictor, scans, out, resume=True, format="nrrd")
    assert found["a"]["mask"] == "a.nrrd"
    assert (out / "a.nrrd").is_file()


def test_rows_of_other_scans_and_models_stay(predictor, scans, tmp_path, make_scan) -> None:
    out, others = tmp_path / "out", tmp_path / "others"
    earlier, _ = run(predictor, scans, out)
    others.mkdir()
    (others / "d.nii.gz").write_bytes(make_scan((16, 20, 12)))
    flat = Predictor(small_bundle(tmp_path / "two", small_plan(classes=2), "two"), "cpu")
    found, steps = run(flat, others, out, model="two 1")
    assert found.keys() == {*earlier, "d"}
    assert found["b"] == earlier["b"]
    assert found["d"]["model"] == "two 1"
    assert steps == [(1, 1)]


def test_progress_counts_the_scans_of_this_run(predictor, scans, tmp_path) -> None:
    out = tmp_path / "out"
    run(predictor, scans, out)
    assert run(predictor, scans, out, resume=True)[1] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_picture_has_no_millimetres(tmp_path) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    Image.fromarray(np.arange(20 * 24, dtype=np.uint8).reshape(20, 24)).save(scans / "p.png")
    flat = Predictor(small_bundle(tmp_path / "flat", small_plan(2), "flat"), "cpu")
    row = run(flat, scans, tmp_path / "out")[0]["p"]
    assert row["state"] == "done"
    assert {row["spacing_mm"], row["label 1 mm3"]} == {""}


def test_a_format_that_cannot_hold_a_mask_fails_that_scan(predictor, scans, tmp_path) -> None:
    found, _ = run(predictor, scans, tmp_path / "out", format="png")
    assert {row["state"] for row in found.values()} == {"failed"}
    assert "one slice" in found["a"]["problem"]


class AtA(Predictor):
    """Does something of its own with scans of 16 voxels, as the scan ``a`` is, at one stage of their way."""

    def __init__(self, predictor: Predictor, stage: str, do: Callable[[], object]) -> None:
        super().__init__(predictor.bundle, "cpu")
        self.stage, self.do = stage, do
        self.priorities: list[str] = []

    def flight(self, prepared, *options, **wishes):
        is_a = prepared.placement.geometry.shape[0] == 16
        if is_a and self.stage == "prepare":
            self.do()
        flight = super().flight(prepared, *options, **wishes)
        if is_a and self.stage == "network":
            flight.restart(Does(self.do, self.backend))
        self.priorities.append(flight.priority)
        return flight

    def finish(self, flight, source):
        mask = super().finish(flight, source)
        if mask.geometry.shape[0] == 16 and self.stage == "finish":
            self.do()
        return mask


class Does(Eager):
    """A backend that does something before it answers."""

    def __init__(self, do: Callable[[], object], like: Eager) -> None:
        super().__init__(like.network, like.device, like.precision)
        self.do = do

    def __call__(self, tiles):
        self.do()
        return super().__call__(tiles)


def raises(error: Exception):
    def fail():
        raise error

    return fail


@pytest.mark.parametrize("stage", ["prepare", "network", "finish"])
@pytest.mark.parametrize(
    ("fail", "words"),
    [
        (lambda: torch.empty(1 << 60), "memory"),
        (lambda: np.empty(1 << 55), "memory"),
        (raises(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 90 GiB")), "memory"),
        (raises(OSError(errno.EIO, "Input/output error")), "Input/output error"),
    ],
)
def test_a_scan_that_is_too_much_fails_alone(predictor, scans, tmp_path, stage: str, fail, words: str) -> None:
    found, _ = run(AtA(predictor, stage, fail), scans, tmp_path / "out")
    assert states(found) == {"a": "failed", "b": "done", "broken": "failed", "sub/c": "done"}
    assert words in found["a"]["problem"]


def test_an_error_that_nobody_foresaw_is_written_down_and_the_others_go_on(predictor, scans, tmp_path) -> None:
    found, _ = run(AtA(predictor, "network", lambda: 1 / 0), scans, tmp_path / "out")
    assert states(found) == {"a": "failed", "b": "done", "broken": "failed", "sub/c": "done"}
    assert "ZeroDivisionError" in found["a"]["problem"]
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("skipseg-hand")] == []


def test_a_full_disk_ends_the_run_and_what_is_done_stays_done(predictor, scans, tmp_path) -> None:
    out, others_done = tmp_path / "out", threading.Event()

    def full():
        comes(others_done)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device; 3 of 4 scans .* same command"):
        run(AtA(predictor, "finish", full), scans, out, told=lambda done, total: done == 3 and others_done.set())
    assert states(rows(out)) == {"b": "done", "broken": "failed", "sub/c": "done"}
    assert masks(out) == {"b.nii.gz", "sub/c.nii.gz"}
    found, _ = run(predictor, scans, out, resume=True)
    assert states(found) == {"a": "done", "b": "done", "broken": "failed", "sub/c": "done"}


def test_masks_are_those_of_scans_segmented_one_by_one(predictor, tmp_path, make_scan) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    for seed in range(12):
        (scans / f"{seed:02}.nii.gz").write_bytes(make_scan((12 + 5 * (seed % 4), 20, 10 + seed), seed=seed))
    assert len(run(predictor, scans, out)[0]) == 12
    for scan in scans.iterdir():
        assert (out / scan.name).read_bytes() == encode_mask(predictor.segment(read_channels([scan])))


def test_one_that_is_slow_to_read_holds_up_nobody_and_keeps_its_place_in_the_table(predictor, scans, tmp_path) -> None:
    others_done = threading.Event()
    slow = AtA(predictor, "prepare", lambda: comes(others_done))
    found, steps = run(slow, scans, tmp_path / "out", told=lambda done, total: done == 3 and others_done.set())
    assert list(found) == ["a", "b", "broken", "sub/c"]
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_scans_are_read_while_the_device_is_busy_with_another(predictor, scans, tmp_path) -> None:
    others_ready = threading.Event()

    class Busy(AtA):
        def flight(self, *given, **wishes):
            flight = super().flight(*given, **wishes)
            if len(self.priorities) == 3:
                others_ready.set()
            return flight

    found, _ = run(Busy(predictor, "network", lambda: comes(others_ready)), scans, tmp_path / "out")
    assert states(found) == {"a": "done", "b": "done", "broken": "failed", "sub/c": "done"}


def test_people_may_go_first(predictor, scans, tmp_path) -> None:
    watched = AtA(predictor, "prepare", lambda: None)
    run(watched, scans, tmp_path / "out")
    assert watched.priorities == ["batch"] * 3


def test_ctrl_c_leaves_whole_masks_with_their_rows_and_the_next_run_does_the_rest(
    predictor, tmp_path, make_scan
) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    for seed in range(30):
        (scans / f"{seed:02}.nii.gz").write_bytes(make_scan(seed=seed))
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        run(predictor, scans, out, told=lambda done, total: done == 3 and signal.raise_signal(signal.SIGINT))
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "skipseg-engine"]
    done = {row["mask"]: row["sha256"] for row in rows(out).values()}
    assert 3 <= len(done) < 30
    assert masks(out) == done.keys()
    kept = {name: (out / name).stat().st_mtime_ns for name in done}
    found, _ = run(predictor, scans, out, resume=True)
    assert list(found) == sorted(scan.name.removesuffix(".nii.gz") for scan in scans.iterdir())
    assert set(states(found).values()) == {"done"}
    assert {name: (out / name).stat().st_mtime_ns for name in kept} == kept


def test_its_pace_is_told(predictor, scans, tmp_path) -> None:
    batch = Batch(predictor, "small 1", tmp_path / "out", None)
    outcome = batch.run(collect([scans], 1, batch.out), False, lambda done, total: None)
    assert [row.scan for row in outcome.rows] == ["a", "b", "broken", "sub/c"]
    assert 0 < outcome.busy_s <= outcome.seconds
    assert re.fullmatch(r"\S+ a second, the device busy \d+% of the time", outcome.pace)
    again = batch.run(collect([scans], 1, batch.out), True, lambda done, total: None)
    assert (outcome.made, again.made) == (4, 1)  # what failed is tried again


def comes(event: threading.Event) -> None:
    assert event.wait(60)


def states(found: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: row["state"] for name, row in found.items()}


def masks(out: Path) -> set[str]:
    """Every file there but the table and the ledger, hidden ones included."""
    return {str(file.relative_to(out)) for file in out.rglob("*") if file.is_file()} - {RESULTS, LEDGER}
