"""The command line as a user meets it: exit codes, words, no traceback."""

import contextlib
import csv
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pytest
from bundles import small_bundle
from scan_files import nifti, zipped
from servers import registry_without_shipped, skipseg

from skipseg import __version__
from skipseg.service.cli import run

COMMANDS = (
    "demo",
    "dataset check",
    "dataset describe",
    "dicom deidentify",
    "plan",
    "train",
    "evaluate",
    "segment",
    "serve",
)
COMMANDS += tuple(f"models {name}" for name in ("list", "add", "show", "promote", "rollback", "remove"))
COMMANDS += tuple(f"keys {name}" for name in ("create", "list", "revoke"))
LATER = ("--workers",)


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture
def command(capfd, workshop) -> Callable[..., Ended]:
    """Run a command in the workshop, in this process: importing torch anew for each would take minutes."""

    def run_in_workshop(*arguments: object) -> Ended:
        data = ["--data", "."] if arguments[0] in ("segment", "models") and "--data" not in arguments else []
        with contextlib.chdir(workshop):
            code = run([*map(str, arguments), *data])
        out, err = capfd.readouterr()
        return Ended(code or 0, out, err)

    return run_in_workshop


def test_help_and_version_answer() -> None:
    assert skipseg("--version").stdout == f"skipseg {__version__}\n"
    ended = skipseg("--help")
    assert ended.returncode == 0
    assert [name for name in COMMANDS if name.split()[0] not in ended.stdout] == []


@pytest.mark.parametrize("name", [*COMMANDS, ""])
def test_every_command_explains_itself_and_offers_nothing_that_does_not_work_yet(command, name: str) -> None:
    ended = command(*name.split(), "--help")
    assert ended.code == 0
    assert [word for word in LATER if word in ended.out] == []


def test_a_mistake_ends_the_process_with_its_exit_code_and_no_traceback(tmp_path) -> None:
    wrong, impossible = skipseg("segment", "x"), skipseg("models", "show", "nobody", data=tmp_path)
    assert (wrong.returncode, impossible.returncode) == (2, 1)
    assert impossible.stderr.startswith("skipseg: there is no model 'nobody'")
    assert "Traceback" not in wrong.stderr + impossible.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["segment", "small", "scan.nii.gz"], "--out"),
        (["segment", "small", "nowhere.nii.gz", "--out", "out"], "nowhere.nii.gz"),
        (["segment", "small", "scan.nii.gz", "--out", "out", "--format", "docx"], "docx"),
        (["segment", "small", "scan.nii.gz", "--out", "m.nii.gz", "--format", "nrrd"], "nrrd"),
        (["segment", "small", "scan.nii.gz", "scan.nii.gz", "--out", "out"], "same mask"),
        (["segment", "small", "tree", "--out", "mask.nii.gz"], "2 scans"),
        (["segment", "small", "scan.nii.gz", "--out", "out", "--device", "tpu"], "tpu"),
        (["train", "nowhere", "--out", "bundle"], "nowhere"),
        (["train", "tree", "--out", "bundle", "--minutes", "1", "--epochs", "1"], "not both"),
        (["plan", "tree", "--memory", "lots"], "24GB"),
        (["models", "promote", "small"], "NAME@VERSION"),
        (["nonsense"], "nonsense"),
    ],
)
def test_a_command_that_is_used_wrongly_exits_2_and_says_how(command, arguments: list[str], words: str) -> None:
    ended = command(*arguments)
    assert words in ended.err
    assert ended.code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["segment", "nobody", "scan.nii.gz", "--out", "out"], "small"),
        (["segment", "small", "text.nii.gz", "--out", "mask.nii.gz"], "convert"),
        (["segment", "small", "scan.nii.gz", "--out", "scan.nii.gz/out"], "scan.nii.gz"),
        (["models", "add", "tree"], "bundle.json"),
        (["models", "show", "small@9"], "9"),
        (["models", "rollback", "small"], "promote"),
        (["dataset", "check", "tree"], "layouts"),
        (["dataset", "describe", "tree"], "layouts"),
        (["train", "tree", "--out", "bundle"], "layouts"),
    ],
)
def test_what_cannot_be_done_exits_1_and_says_why(command, arguments: list[str], words: str) -> None:
    ended = command(*arguments)
    assert words in ended.out + ended.err
    assert ended.code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evaluate", "bundle", "odd/set", "--out", "odd/r", "--cases", "odd/latin.txt"], "UTF-8"),
        (["dataset", "check", "odd/digits"], "too long"),
        (["dataset", "check", "odd/channels"], "training"),
        (["segment", "small", "odd/scans", "--out", "odd/masks"], "broken"),
    ],
)
def test_odd_bytes_and_numbers_are_told_without_a_traceback(command, workshop, make_scan, arguments, words) -> None:
    odd = workshop / "odd"
    shutil.rmtree(odd, ignore_errors=True)
    for folder in ("set/images", "set/labels", "digits", "channels", "scans"):
        (odd / folder).mkdir(parents=True)
    for part in ("images", "labels"):
        (odd / "set" / part / "a.nii.gz").write_bytes(zipped(nifti(np.eye(8, dtype=np.uint8)[..., None])))
    (odd / "latin.txt").write_bytes("Müller\n".encode("latin-1"))
    (odd / "digits" / "dataset.json").write_text('{"numTraining": ' + "9" * 5000 + "}")
    (odd / "channels" / "dataset.json").write_text('{"channel_names": {"\u00b2": "T1"}}')
    (odd / "scans" / os.fsdecode(b"M\xfcller.nii.gz")).write_bytes(make_scan())
    (odd / "scans" / os.fsdecode(b"broken \xfc.nii.gz")).write_bytes(b"no scan")
    ended = command(*arguments)
    assert ended.code in (1, 2)
    assert words in ended.out + ended.err


def test_a_name_that_is_no_text_can_be_printed_and_resumed(tmp_path, workshop, data) -> None:
    out = os.fsdecode(bytes(tmp_path) + b"/M\xfcller")
    scan = tmp_path / os.fsdecode(b"M\xfcller.nii.gz")
    scan.write_bytes((workshop / "scan.nii.gz").read_bytes())
    for _ in range(2):
        ended = skipseg("segment", "small", scan, "--out", out, data=workshop)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert r"M\udcfcller" in ended.stdout


@pytest.mark.parametrize("link", [None, Path.symlink_to, Path.hardlink_to])
@pytest.mark.parametrize("out", ["study", "study/p1.nii.gz", "link", "link/p1.nii.gz"])
def test_a_scan_is_never_overwritten_by_its_mask(command, tmp_path, make_scan, link, out: str) -> None:
    scan, whole = tmp_path / "study" / "p1.nii.gz", make_scan()
    scan.parent.mkdir()
    (tmp_path / "link").symlink_to("study")
    scan.write_bytes(whole)
    if link is not None:
        (tmp_path / "other").mkdir()
        link(tmp_path / "other" / "p1.nii.gz", scan)
        scan = tmp_path / "other" / "p1.nii.gz"
    ended = command("segment", "small", scan, "--out", tmp_path / out)
    assert ended.code == 2
    assert "over the scan" in ended.err
    assert scan.read_bytes() == whole
    assert sorted(path.name for path in (tmp_path / "study").iterdir()) == ["p1.nii.gz"]


def test_one_scan_becomes_one_file(command, tmp_path) -> None:
    ended = command("segment", "small", "scan.nii.gz", "--out", tmp_path / "new" / "mask.nrrd")
    assert ended == Ended(0, "", "")
    assert (tmp_path / "new" / "mask.nrrd").read_bytes().startswith(b"NRRD")


def test_a_bundles_folder_is_a_model_too(command, tmp_path) -> None:
    for number, model in enumerate(("bundle", "small", "small@1")):
        assert command("segment", model, "scan.nii.gz", "--out", tmp_path / f"{number}.nii.gz").code == 0
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_a_tree_becomes_a_tree_and_a_table(command, tmp_path) -> None:
    ended = command("segment", "small", "tree", "text.nii.gz", "--out", tmp_path)
    assert ended.code == 1
    assert ended.err.startswith("text: ")
    assert "2 of 3 scans" in ended.out
    with (tmp_path / "results.csv").open() as file:
        assert [row["state"] for row in csv.DictReader(file)] == ["done", "done", "failed"]
    assert nibabel.load(tmp_path / "deep" / "er" / "b.nii.gz").shape == (20, 24, 13)


def test_channel_files_are_segmented_together(command, tmp_path, data, make_scan) -> None:
    for channel in (0, 1):
        (tmp_path / f"case_000{channel}.nii.gz").write_bytes(make_scan(seed=channel))
    (tmp_path / "lost_0000.nii.gz").write_bytes(make_scan())
    ended = command("segment", "pair", tmp_path, "--out", tmp_path / "out", "--data", data)
    assert ended.code == 1
    assert "lost: this model needs 2 channels" in ended.err
    assert (tmp_path / "out" / "case.nii.gz").is_file()


def test_a_dataset_with_defects_exits_1_and_one_without_0(command, tmp_path) -> None:
    chance = np.random.default_rng(0)
    for number in range(3):
        truth = np.zeros((12, 12, 12), np.uint8)
        truth[3:7, 4:8, 2 : 6 + number] = 1
        for folder, voxels in (("images", chance.normal(size=(12, 12, 12)).astype(np.float32)), ("labels", truth)):
            path = tmp_path / "set" / folder / f"case{number}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)
    clean = command("dataset", "check", tmp_path / "set")
    (tmp_path / "set" / "labels" / "case1.nii.gz").unlink()
    dirty = command("dataset", "check", tmp_path / "set", "--json")
    assert (clean.code, clean.out.strip()) == (0, "No defect found.")
    assert dirty.code == 1
    assert any("case1" in defect["file"] for defect in json.loads(dirty.out))


def test_models_are_added_promoted_rolled_back_and_removed(command, tmp_path) -> None:
    def models(*arguments: object) -> str:
        ended = command("models", *arguments, "--data", tmp_path / "data")
        assert ended.code == 0, ended.err
        return ended.out

    first, second = small_bundle(tmp_path / "1"), small_bundle(tmp_path / "2", seed=1)
    assert models("add", first.folder, "--name", "liver") == "added liver@1\n"
    assert models("add", second.folder, "--name", "liver") == "added liver@2\n"
    assert models("promote", "liver@2") == "liver@2 is live\n"
    row = next(line for line in models("list").splitlines() if "liver" in line)
    assert row.split() == ["liver", "2", "1", "2"]
    assert models("rollback", "liver") == "liver@1 is live\n"
    assert models("remove", "liver@2") == "removed liver@2\n"
    assert models("show", "liver").startswith("liver@1\n")


def test_a_model_is_exported_and_nothing_is_overwritten(command, tmp_path) -> None:
    bundle = small_bundle(tmp_path / "bundle")
    export = ("models", "export", bundle.folder, "--out", tmp_path / "out", "--data", tmp_path)
    wrong = command(*export, "--format", "keras")
    assert wrong.code == 2
    written = command(*export, "--format", "monai-bundle")
    assert (written.code, written.out) == (0, f"wrote {tmp_path / 'out'}\n")
    assert (tmp_path / "out" / "configs" / "metadata.json").is_file()
    again = command(*export, "--format", "bundle")
    assert (again.code, "there already" in again.err) == (2, True)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, make_scan) -> Path:
    """A folder with a scan, a text called like a scan, a tree of two scans, a bundle, and a registry that holds it."""
    folder = tmp_path_factory.mktemp("workshop")
    (folder / "tree" / "deep" / "er").mkdir(parents=True)
    for name in ("scan", "tree/a", "tree/deep/er/b"):
        (folder / f"{name}.nii.gz").write_bytes(make_scan())
    (folder / "text.nii.gz").write_text("hello, this is my scan")
    bundle = small_bundle(folder / "bundle")
    registry_without_shipped(folder).add(bundle.folder)
    return folder
