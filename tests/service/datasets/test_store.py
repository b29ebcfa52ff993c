"""What a kept dataset promises: whole cases or none, a trail of all changes, and a validation set that stays."""

import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from skipseg.models.errors import DatasetConflict, DatasetError, DatasetUnknown, ScanCorrupt, UsageError
from skipseg.service.datasets import trail
from skipseg.service.datasets.store import DatasetStore
from skipseg.training.datasets.dataset import checksum, image_checksum, open_dataset, read_case
from skipseg.training.datasets.split import split_cases


def test_cases_put_one_by_one_are_a_dataset_that_training_reads(store, put) -> None:
    put(0, 1, 2)
    dataset = open_dataset(store.folder("rods"))
    assert [case.name for case in dataset.cases] == ["case_0", "case_1", "case_2"]
    assert [label.name for label in dataset.labels.foreground] == ["rod", "cone"]
    assert all(read_case(dataset, case)[1].max() == 1 for case in dataset.cases)
    assert checksum(dataset) == store.get("rods").checksum()
    known = store.get("rods").kept.cases
    assert {case.name: image_checksum(case) for case in dataset.cases} == {n: known[n].image for n in known}


def test_a_corrected_label_replaces_the_former_which_is_kept_and_named_by_the_trail(store, put, files) -> None:
    put(0)
    before = store.get("rods").kept.cases["case_0"]
    files_before = set(store.folder("rods").glob("labelsTr/*/*"))
    after, is_new = store.put_case("rods", "case_0", [], files.label(0, value=2), "carl")
    assert not is_new
    assert files_before < set(store.folder("rods").glob("labelsTr/*/*"))
    last = store.trail("rods")[-1]
    assert (last.who, last.what, last.case, last.before, last.after) == (
        "carl",
        "case replaced",
        "case_0",
        before,
        after,
    )
    (case,) = open_dataset(store.folder("rods")).cases
    assert read_case(open_dataset(store.folder("rods")), case)[1].max() == 2


def test_the_same_case_sent_again_changes_nothing(store, put) -> None:
    put(0)
    put(0)
    assert [entry.what for entry in store.trail("rods")] == ["created", "case added"]


@pytest.mark.parametrize(
    ("label", "error", "told"),
    [
        ({"value": 7}, DatasetError, "holds the values"),
        ({"shift": 4.0}, DatasetError, "4 mm apart"),
    ],
)
def test_a_label_that_does_not_fit_is_refused_and_nothing_is_kept(store, files, label, error, told) -> None:
    with pytest.raises(error, match=told):
        store.put_case("rods", "case_0", [files.image(0)], files.label(0, **label), "ben")
    assert not store.get("rods").dataset
    assert not any((store.root / ".incoming").iterdir())


def test_a_file_that_is_no_scan_or_of_other_channels_is_refused(store, files, tmp_path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(ScanCorrupt):
        store.put_case("rods", "case_0", [tmp_path / "empty"], files.label(0), "ben")
    with pytest.raises(DatasetError, match="1 channels"):
        store.put_case("rods", "case_0", [files.image(0), files.image(1)], files.label(0), "ben")
    with pytest.raises(UsageError, match="letters, digits"):
        store.put_case("rods", "../case", [files.image(0)], files.label(0), "ben")


def test_one_image_under_two_names_is_refused_even_when_it_is_stored_otherwise(store, put, files) -> None:
    put(0)
    plain = files.image(0).with_suffix("")
    plain.write_bytes(__import__("gzip").decompress(files.image(0).read_bytes()))
    with pytest.raises(DatasetConflict, match="case_0"):
        store.put_case("rods", "other", [plain], files.label(0), "ben")


def test_a_deleted_case_is_gone_from_the_disk_and_its_checksums_stay(store, put, files) -> None:
    put(0, 1)
    store.put_case("rods", "case_0", [], files.label(0, value=2), "carl")
    store.remove_case("rods", "case_0", "carl")
    assert {path.name for path in store.folder("rods").glob("*/*/*")} == {"case_1_0000.nii.gz", "case_1.nii.gz"}
    assert store.trail("rods")[-1].before is not None
    with pytest.raises(DatasetUnknown):
        store.remove_case("rods", "case_0", "carl")


def test_a_writer_killed_at_any_moment_leaves_whole_cases_and_a_whole_trail(store, files, tmp_path) -> None:
    """A process that is killed again and again while it puts cases: the trail tells what is there, no more, no less."""
    sent = [(files.image(seed), files.label(seed)) for seed in range(8)]
    script = tmp_path / "writer.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom skipseg.service.datasets.store import DatasetStore\n"
        "store = DatasetStore(Path(sys.argv[1]))\nprint('ready', flush=True)\nwhile True:\n"
        "    for number, pair in enumerate(sys.argv[2:]):\n        image, label = map(Path, pair.split(','))\n"
        "        store.put_case('rods', f'case_{number}', [image], label, 'ben')\n        print(number, flush=True)\n"
        "    for number in range(len(sys.argv[2:])):\n        store.remove_case('rods', f'case_{number}', 'ben')\n"
    )
    pairs = [f"{image},{label}" for image, label in sent]
    for lines in (2, 4, 7):
        writer = subprocess.Popen(
            [sys.executable, str(script), str(store.root), *pairs], stdout=subprocess.PIPE, text=True
        )
        for _ in range(lines):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        contents = store.get("rods")
        said = store.trail("rods")
        assert [entry.revision for entry in said] == list(range(1, len(said) + 1))
        assert said[-1] == contents.kept.last
        there = set()
        for entry in said:
            there = there | {entry.case} if entry.what == "case added" else there - {entry.case}
        assert there == contents.kept.cases.keys() == contents.dataset.keys()
        if there:
            dataset = open_dataset(store.folder("rods"))
            assert checksum(dataset) == contents.checksum()


def test_a_trail_that_a_crash_left_behind_is_mended_by_the_next_change(store, put) -> None:
    put(0)
    path = store.folder("rods") / trail.TRAIL
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])  # the machine went down in the middle of the last line
    assert len(store.trail("rods")) == 2
    put(1)
    assert path.read_bytes().startswith(whole)
    assert [entry.revision for entry in store.trail("rods")] == [1, 2, 3]


def test_writers_at_the_same_time_lose_nothing(store, files) -> None:
    sent = [(files.image(seed), files.label(seed)) for seed in range(6)]
    failed = []

    def write(seed: int) -> None:
        try:
            image, label = sent[seed]
            DatasetStore(store.root).put_case("rods", f"case_{seed}", [image], label, f"writer {seed}")
        except Exception as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(store.get("rods").dataset) == 6
    assert {entry.who for entry in store.trail("rods")} == {"anna", *(f"writer {seed}" for seed in range(6))}


def test_the_frozen_set_is_drawn_once_and_later_cases_do_not_join_it(store, put, tmp_path) -> None:
    put(0, 1, 2, 3, 4)
    frozen = store.frozen("rods", "job").kept.frozen
    assert len(frozen.cases) == 1
    put(5, 6, 7, 8, 9, 10, 11)
    assert store.frozen("rods", "job").kept.frozen == frozen
    store.snapshot("rods", store.get("rods"), tmp_path / "snapshot")
    (tmp_path / "val").write_text("\n".join(frozen.cases))
    split = split_cases(open_dataset(tmp_path / "snapshot"), tmp_path / "val")
    assert {case.name: image_checksum(case) for case in split.validation} == frozen.cases
    assert len(split.training) == 11


def test_a_frozen_case_keeps_its_image_while_its_label_may_be_mended(store, put, files) -> None:
    put(0, 1)
    store.freeze("rods", "anna", ["case_0"])
    with pytest.raises(DatasetConflict, match="frozen"):
        store.put_case("rods", "case_0", [files.image(9)], files.label(0), "ben")
    with pytest.raises(DatasetConflict, match="frozen"):
        store.remove_case("rods", "case_0", "ben")
    store.put_case("rods", "case_0", [], files.label(0, value=2), "ben")
    store.freeze("rods", "anna", ["case_1"])
    store.remove_case("rods", "case_0", "ben")
    assert list(store.get("rods").dataset) == ["case_1"]


def test_what_a_model_learned_from_is_not_drawn_to_judge_it_on(store, put) -> None:
    put(*range(6))
    known = store.get("rods").kept.cases
    learned = frozenset(known[f"case_{seed}"].image for seed in range(4))
    assert set(store.frozen("rods", "job", learned).kept.frozen.cases) <= {"case_4", "case_5"}


@pytest.mark.parametrize("cases", [["nobody"], ["case_0", "case_1"]])
def test_a_set_that_cannot_be_frozen_is_refused(store, put, cases) -> None:
    put(0, 1)
    with pytest.raises(DatasetError):
        store.freeze("rods", "anna", cases)
    assert store.get("rods").kept.frozen is None


def test_a_snapshot_stays_what_it_was(store, put, files, tmp_path) -> None:
    put(0, 1)
    contents = store.get("rods")
    store.snapshot("rods", contents, tmp_path / "snapshot")
    store.put_case("rods", "case_0", [], files.label(0, value=2), "ben")
    store.remove_case("rods", "case_1", "ben")
    assert checksum(open_dataset(tmp_path / "snapshot")) == contents.checksum()


def test_what_a_dead_writer_left_incoming_goes_after_a_day(store, files) -> None:
    left = store.root / ".incoming" / "left"
    left.mkdir(parents=True)
    os.utime(left, (0, 0))
    with store.draft():
        assert not left.exists()


def test_a_damaged_table_is_told_and_not_taken_for_an_empty_dataset(store, put) -> None:
    put(0)
    (store.folder("rods") / "dataset.json").write_text("{")
    with pytest.raises(DatasetError, match="damaged"):
        store.get("rods")
    shutil.rmtree(store.folder("rods"))
    with pytest.raises(DatasetUnknown):
        store.get("rods")
