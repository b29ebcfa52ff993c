"""Dice against minutes beside nnU-Net: the same cases, the same budgets, one after the other on the same machine.

    python benchmarks/curve.py DATASET --val-cases FILE --out curve.json --work FOLDER --nnunet VENV/bin
        [--budgets 0.5,1,2,4,7,15] [--seeds 0,1,2] [--only skipseg|nnunet] [--plain] [--batch 2] [--device cpu]

The budget of ours is the wall clock of the whole command: start, preprocessing, fitting, evaluation. That of nnU-Net
counts from its first step; planning, preprocessing, starting and predicting come on top and are columns of their own.
The masks of both are scored by the same code, from their files. Rows already in ``--out`` are not run again; a table
(.md) and a plot (.png) are kept beside it. nnunet.md says how to install nnU-Net.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from curve_page import Row, plot, table
from nnunet import NnUNet, file_name
from timed import CommandFailed, timed

from skipseg.models.bundle import load_bundle
from skipseg.models.scans.reader import read_scan, scan_files, scan_stem
from skipseg.training.datasets.dataset import Case, Dataset, open_dataset, read_case
from skipseg.training.datasets.split import Split, split_cases
from skipseg.training.datasets.truth import whole_values
from skipseg.training.judging.metrics import Agreement, mean_of, score_labels

NNUNET = "SKIPSEG_NNUNET"
OURS, THEIRS, MIRRORED = "skipseg", "nnU-Net", "nnU-Net, mirrored"


@dataclass(frozen=True)
class Contest:
    """What is trained on, judged on and where."""

    dataset: Dataset
    split: Split
    val_cases: Path
    work: Path
    device: str
    nnunet_masks: tuple[str, ...]  # of every training of it: plain, mirrored


def main() -> None:
    wanted = arguments()
    dataset = open_dataset(wanted.dataset)
    work = wanted.work.resolve()
    split = split_cases(dataset, wanted.val_cases)
    masks_of = (THEIRS,) if wanted.plain else (THEIRS, MIRRORED)
    contest = Contest(dataset, split, wanted.val_cases, work, wanted.device, masks_of)
    about = told(contest, wanted.batch)
    wanted.out.parent.mkdir(parents=True, exist_ok=True)
    rows = read_rows(wanted.out, about)
    runs = tools(wanted, contest)
    failed = False
    for seed in map(int, wanted.seeds.split(",")):
        for minutes in map(float, wanted.budgets.split(",")):
            for tool, run in runs.items():
                if any((row.tool, row.minutes, row.seed) == (tool, minutes, seed) for row in rows):
                    continue
                try:
                    rows += shown(run(minutes, seed))
                except CommandFailed as error:  # the other rows are of use without it
                    failed = True
                    print(error, file=sys.stderr, flush=True)
                write_rows(wanted.out, about, rows)
    print(table(rows))
    raise SystemExit(1 if failed else 0)


def tools(wanted: argparse.Namespace, contest: Contest) -> dict[str, Callable[[float, int], list[Row]]]:
    """How each tool is run for minutes and a seed."""
    runs: dict[str, Callable[[float, int], list[Row]]] = {}
    if wanted.only != "nnunet":
        runs[OURS] = lambda *budget: with_skipseg(contest, *budget)
    if wanted.only != "skipseg":
        theirs = NnUNet(nnunet_bin(wanted.nnunet), contest.work / "nnunet", wanted.device, wanted.batch)
        runs[THEIRS] = lambda *budget: with_nnunet(theirs, contest, *budget)
    return runs


def shown(rows: list[Row]) -> list[Row]:
    for row in rows:
        print(f"{row.tool}, {row.minutes:g} minutes, seed {row.seed}: Dice {row.dice or 0:.4f}", flush=True)
    return rows


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--val-cases", type=Path, required=True, help="cases to judge on, one name a line")
    parser.add_argument("--out", type=Path, required=True, help="JSON of all rows so far")
    parser.add_argument("--work", type=Path, required=True, help="folder for bundles, masks, logs, nnU-Net's files")
    parser.add_argument("--nnunet", type=Path, help=f"bin folder of nnU-Net's environment; default: ${NNUNET}")
    parser.add_argument("--budgets", default="0.5,1,2,4,7,15", help="minutes")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--only", choices=("skipseg", "nnunet"))
    parser.add_argument(
        "--plain", action="store_true", help="leave out nnU-Net's masks with mirroring, which take long"
    )
    parser.add_argument("--batch", type=int, default=2, help="of nnU-Net; 0: as it plans itself")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    return parser.parse_args()


def nnunet_bin(given: Path | None) -> Path:
    """Where nnU-Net's commands are."""
    folder = given or (Path(os.environ[NNUNET]) if NNUNET in os.environ else None)
    if folder is None or not (folder / "nnUNetv2_train").exists():
        raise SystemExit(f"--nnunet or ${NNUNET} must name the folder of nnUNetv2_train; got {folder}; see nnunet.md")
    return folder.absolute()


def with_skipseg(contest: Contest, minutes: float, seed: int) -> list[Row]:
    """`skipseg train` as users start it."""
    run = emptied(contest.work / f"skipseg-{minutes:g}-{seed}")
    skipseg, data = [sys.executable, "-m", "skipseg"], contest.dataset.folder
    judged, device = ["--val-cases", contest.val_cases], ["--device", contest.device]
    bundle = run / "bundle"
    train = [*skipseg, "train", data, *judged, *device, "--minutes", minutes, "--seed", seed, "--out", bundle]
    took = timed(train, run / "train.txt")
    segment = [*skipseg, "evaluate", bundle, data, "--cases", contest.val_cases, *device, "--out", run / "evaluation"]
    timed(segment, run / "evaluate.txt")
    scores = scored(contest, run / "evaluation" / "masks")
    steps = load_bundle(bundle).manifest.training.steps
    return [Row(OURS, minutes, seed, steps, *scores, took.seconds, None, None, took.others)]


def with_nnunet(theirs: NnUNet, contest: Contest, minutes: float, seed: int) -> list[Row]:
    """One training, its masks without mirroring and with it."""
    prepared = theirs.prepare(contest.dataset, contest.split.training, contest.split.validation)
    steps, took = theirs.train(prepared, minutes, seed)
    rows = []
    for tool in contest.nnunet_masks:
        mirrored = tool == MIRRORED
        masks = emptied(contest.work / f"nnunet-{minutes:g}-{seed}{'-mirrored' * mirrored}")
        predicting = theirs.predict(prepared, masks, mirrored).seconds
        scores = scored(contest, masks)
        rows.append(Row(tool, minutes, seed, steps, *scores, took.seconds, prepared.seconds, predicting, took.others))
    return rows


Scores = tuple[float | None, dict[str, float | None], float | None, float | None]


def scored(contest: Contest, masks: Path) -> Scores:
    """Dice, Dice by label, HD95 and surface Dice of the masks in a folder: means over cases, then over labels."""
    cases = [mask_scores(contest.dataset, case, masks) for case in contest.split.validation]
    labels = {name: mean_of(case[name] for case in cases) for name in cases[0]}
    total = mean_of(labels.values())
    return total.dice, {name: one.dice for name, one in labels.items()}, total.hd95_mm, total.nsd_1mm


def mask_scores(dataset: Dataset, case: Case, masks: Path) -> dict[str, Agreement]:
    """One mask, called like its case or like the case's scan, against the truth."""
    names = {file_name(case), scan_stem(case.images[0])}
    found = [file for file in scan_files(masks) if scan_stem(file) in names]
    if len(found) != 1:
        raise SystemExit(f"expected one mask of {case.name} in {masks}; got {len(found)}")
    image, truth = read_case(dataset, case)
    mask = whole_values(read_scan(found[0]))
    return dict(score_labels(mask, truth, dataset.labels, image.geometry.spacing))


def told(contest: Contest, batch: int) -> dict[str, object]:
    """What rows of one file have in common."""
    return {
        "dataset": contest.dataset.name,
        "trained_on": len(contest.split.training),
        "kept_out": len(contest.split.validation),
        "device": contest.device,
        "cores": os.cpu_count(),
        "processor": processor(),
        "nnunet_batch": batch,
    }


def processor() -> str:
    """Its name, where the system tells."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def read_rows(file: Path, about: dict[str, object]) -> list[Row]:
    """Rows so far. Exits when they are of something else."""
    if not file.exists():
        return []
    known = json.loads(file.read_text())
    if known["about"] != about:
        raise SystemExit(f"{file} holds rows of {known['about']}, this is {about}; choose another --out")
    return [Row(**row) for row in known["rows"]]


def write_rows(file: Path, about: dict[str, object], rows: Sequence[Row]) -> None:
    """The rows, and beside them a table and a plot."""
    part = file.with_name(f"{file.name}.part")
    part.write_text(json.dumps({"about": about, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    part.replace(file)
    file.with_suffix(".md").write_text(table(rows) + "\n")
    file.with_suffix(".png").write_bytes(plot(rows))


def emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    main()
