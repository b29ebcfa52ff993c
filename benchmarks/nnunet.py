"""nnU-Net as its users run it, on a dataset of ours: its layout, its commands, its masks. See nnunet.md."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
from timed import Timed, timed

from skipseg.training.datasets.dataset import Case, Dataset, read_case, read_image

NAME, NUMBER, PLANS = "Dataset001_Beside", "1", "nnUNetPlans"
TRAINER = Path(__file__).parent / "nnunet_wallclock.py"
CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Prepared:
    """What is ready to train on."""

    configuration: str
    seconds: float  # of nnUNetv2_plan_and_preprocess


@dataclass(frozen=True)
class NnUNet:
    """An installed nnU-Net (the ``bin`` of its environment) and a folder for all it writes."""

    bin: Path
    work: Path
    device: str
    batch: int  # 0: as it plans itself

    def prepare(self, dataset: Dataset, training: Sequence[Case], kept_out: Sequence[Case]) -> Prepared:
        """Bring the dataset into its layout, plan and preprocess; what is there already stays."""
        done = self.work / "prepared.json"
        if done.exists():
            return Prepared(**json.loads(done.read_text()))
        shutil.rmtree(self.work, ignore_errors=True)
        flat = read_image(dataset, training[0]).geometry.shape[2] == 1
        configuration = "2d" if flat else "3d_fullres"
        write_raw(self.work / "raw" / NAME, dataset, [*training, *kept_out])
        write_images(self.work / "kept-out", dataset, kept_out)
        (self.work / "trainer").mkdir()
        shutil.copy(TRAINER, self.work / "trainer")  # alone: nnU-Net imports whatever lies beside it
        command = ["plan_and_preprocess", "-d", NUMBER, "-c", configuration, "-npfp", CORES, "-np", CORES]
        seconds = self._run(command, "prepare").seconds
        self._split(training, kept_out)
        prepared = Prepared(self._with_batch(configuration), seconds)
        done.write_text(json.dumps(vars(prepared)))
        return prepared

    def train(self, prepared: Prepared, minutes: float, seed: int) -> tuple[int, Timed]:
        """Fold 0 for as many minutes. Returns its steps and what the command took."""
        shutil.rmtree(self.work / "results", ignore_errors=True)
        budget = {"NNUNET_SECONDS": str(minutes * 60), "NNUNET_SEED": str(seed)}
        command = ["train", NUMBER, prepared.configuration, "0", "-tr", "WallClockTrainer", "-device", self.device]
        took = self._run(command, f"train-{minutes:g}-{seed}", budget)
        (told,) = self.work.glob("results/*/*/fold_0/steps.json")
        return int(json.loads(told.read_text())["steps"]), took

    def predict(self, prepared: Prepared, out: Path, mirrored: bool) -> Timed:
        """Masks of the cases kept out, by the last training; ``mirrored`` averages over mirror images, its default."""
        command = ["predict", "-i", self.work / "kept-out", "-o", out, "-d", NUMBER, "-c", prepared.configuration]
        command += ["-f", "0", "-tr", "WallClockTrainer", "-device", self.device, "-npp", "1", "-nps", "1"]
        return self._run([*command, *([] if mirrored else ["--disable_tta"])], f"predict-{out.name}")

    def _run(self, command: Sequence[object], log: str, extra: dict[str, str] | None = None) -> Timed:
        name, *rest = command
        folders = {f"nnUNet_{part}": str(self.work / part) for part in ("raw", "preprocessed", "results")}
        settings = {
            "nnUNet_extTrainer": str(self.work / "trainer"),
            "nnUNet_n_proc_DA": str(max(CORES - 1, 1)),
            "nnUNet_def_n_proc": str(CORES),
        }
        log_file = self.work / "logs" / f"{log}.txt"
        return timed([self.bin / f"nnUNetv2_{name}", *rest], log_file, {**folders, **settings, **(extra or {})})

    def _split(self, training: Sequence[Case], kept_out: Sequence[Case]) -> None:
        split = {"train": [file_name(case) for case in training], "val": [file_name(case) for case in kept_out]}
        (self.work / "preprocessed" / NAME / "splits_final.json").write_text(json.dumps([split]))

    def _with_batch(self, configuration: str) -> str:
        """The name of its configuration with our batch in the place of its own."""
        if not self.batch:
            return configuration
        file = self.work / "preprocessed" / NAME / f"{PLANS}.json"
        plans = json.loads(file.read_text())
        name = f"{configuration}_bs{self.batch}"
        plans["configurations"][name] = {"inherits_from": configuration, "batch_size": self.batch}
        file.write_text(json.dumps(plans, indent=1))
        return name


def file_name(case: Case) -> str:
    """What a case's files are called, without a suffix."""
    return case.name.replace("/", "_")


def write_raw(folder: Path, dataset: Dataset, cases: Sequence[Case]) -> None:
    """The dataset in the layout of nnU-Net v2, as NIfTI files. Exits when label values have gaps."""
    values = dataset.labels.values
    if values != tuple(range(len(values))):
        raise SystemExit(f"nnU-Net wants labels 0, 1, 2, ... without gaps; this dataset has {list(values)}")
    write_images(folder / "imagesTr", dataset, cases)
    (folder / "labelsTr").mkdir()
    for case in cases:
        image, truth = read_case(dataset, case)
        nibabel.save(nibabel.Nifti1Image(truth, image.geometry.affine), folder / f"labelsTr/{file_name(case)}.nii.gz")
    about = {
        "channel_names": {str(number): name for number, name in enumerate(dataset.channels)},
        "labels": {label.name if label.value else "background": label.value for label in dataset.labels.all},
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(about, indent=1))


def write_images(folder: Path, dataset: Dataset, cases: Sequence[Case]) -> None:
    """A file per case and channel: ``CASE_0000.nii.gz``."""
    folder.mkdir(parents=True)
    for case in cases:
        image = read_image(dataset, case)
        for number, channel in enumerate(image.voxels):
            file = folder / f"{file_name(case)}_{number:04}.nii.gz"
            nibabel.save(nibabel.Nifti1Image(channel, image.geometry.affine), file)
