"""What ``skipseg segment`` may write, told before it does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from skipseg.models.errors import UsageError
from skipseg.models.inference.wishes import Wishes
from skipseg.models.scans.maps import map_path
from skipseg.models.scans.masks import MASK_FORMATS, format_of, without_suffix
from skipseg.service.commands.cases import ScanFiles
from skipseg.service.commands.results import RESULTS


def files_of_one(out: Path, wishes: Wishes) -> Iterator[Path]:
    """The mask and the maps beside it."""
    yield out
    yield from (map_path(without_suffix(out), name) for name in wishes.maps)


def possible_files(scans: Sequence[ScanFiles], out: Path, format: str | None, wishes: Wishes) -> Iterator[Path]:
    """Every file that a batch may write; without a ``format`` the scans decide, which are not read yet."""
    yield out / RESULTS
    suffixes = [form.suffix for name, form in MASK_FORMATS.items() if format in (None, name)]
    if format in (None, "nifti"):
        suffixes.append(".nii")  # of a scan that is not compressed
    for scan in scans:
        yield from (out / scan.name.with_name(scan.name.name + suffix) for suffix in suffixes)
        yield from (map_path(out / scan.name, name) for name in wishes.maps)


def is_one_file(out: Path, format: str | None, scans: int) -> bool:
    """Whether ``--out`` is the file of the one mask; a name that is no mask's is a folder's."""
    named = None if out.is_dir() else format_of(out)
    if named and scans > 1:
        raise UsageError(f"--out {out} is one file, but there are {scans} scans; name a folder")
    if named and format is not None and MASK_FORMATS[format].suffix != MASK_FORMATS[named].suffix:
        raise UsageError(
            f"--out {out} is called like a {named} file, but --format says {format}; name one of them alone"
        )
    return named is not None
