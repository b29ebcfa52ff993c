"""What a list of cases can get wrong, said once each: names, pairs and paths, before any scan is opened."""

from __future__ import annotations

from pathlib import Path

from skipseg.training.datasets.defects import Defect


def relative(folder: Path, path: Path) -> str:
    """The file's name as reports show it: relative to the dataset, with forward slashes."""
    return path.relative_to(folder).as_posix()


def case_twice(folder: Path, paths: list[Path]) -> Defect:
    names = " and ".join(dict.fromkeys(relative(folder, path) for path in paths))
    problem = f"two files claim the same case: {names}" if " and " in names else "the case is listed twice"
    return Defect(
        code="case_twice",
        file=relative(folder, paths[0]),
        problem=problem,
        mend="keep one, or give each a name of its own",
    )


def channels_missing(folder: Path, case: str, group: dict[int, Path], usual: int) -> Defect:
    found = ", ".join(f"{number:04d}" for number in sorted(group))
    wanted = ", ".join(f"{number:04d}" for number in range(usual))
    return Defect(
        code="channels_missing",
        file=relative(folder, next(iter(group.values()))),
        problem=f"case {case} has the channels {found}, expected {wanted}",
        mend="add the missing channel files, or remove the case",
    )


def path_outside(folder: Path, path: Path) -> Defect:
    return Defect(
        code="path_outside",
        file="dataset.json",
        problem=f"it lists {_shown(folder, path)}, which is not inside the dataset's folder",
        mend="list paths relative to the dataset's folder, without '..'",
    )


def missing(folder: Path, path: Path) -> Defect:
    return Defect(
        code="file_missing",
        file=relative(folder, path),
        problem="dataset.json lists this file, and it is not there",
        mend="put the file there, or take the entry out of dataset.json",
    )


def no_label(folder: Path, path: Path) -> Defect:
    return Defect(
        code="image_without_label",
        file=relative(folder, path),
        problem="this image has no label",
        mend="add a label of the same name, or move the image out of the training images",
    )


def no_image(folder: Path, path: Path) -> Defect:
    return Defect(
        code="label_without_image",
        file=relative(folder, path),
        problem="this label has no image",
        mend="add the image of the same name, or remove the label",
    )


def not_listed(folder: Path, path: Path) -> Defect:
    return Defect(
        code="not_listed",
        file=relative(folder, path),
        problem="image and label are there, and dataset.json does not list them",
        mend="add the pair to 'training' in dataset.json, or move both files away",
        severity="warning",
    )


def _shown(folder: Path, path: Path) -> Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else path
