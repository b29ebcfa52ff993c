"""``skipseg segment``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skipseg.service.commands.models import open_registry
from skipseg.service.commands.options import DataFolder, DeviceName, ModelReference, PrecisionName
from skipseg.service.commands.progress import bar

if TYPE_CHECKING:
    from skipseg.models.inference.predictor import Predictor
    from skipseg.service.commands.cases import ScanFiles


def segment(
    model: ModelReference,
    scans: Annotated[list[Path], typer.Argument(metavar="SCAN...", help="Scans, or folders of scans.")],
    out: Annotated[Path, typer.Option(help="A folder; or a file, when there is one scan.")],
    format: Annotated[
        str | None, typer.Option(help="nifti, nrrd, mha, png, tiff or json. Default: that of --out, else of the scan.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Skip scans that an earlier run into --out has done.")] = False,
    device: DeviceName = "auto",
    precision: PrecisionName = "fast",
    data: DataFolder = None,
) -> None:
    """Write the mask of each scan, on the scan's own grid; exit 1 if any failed, each named."""
    from skipseg.models.errors import UsageError
    from skipseg.models.inference.predictor import load_predictor
    from skipseg.models.precision import choose_device, mode_of
    from skipseg.models.registry import open_model
    from skipseg.models.scans.masks import MASK_FORMATS, format_of
    from skipseg.service.commands.cases import collect, refuse_overwriting

    if format is not None and format not in MASK_FORMATS:
        raise UsageError(f"masks are written as {', '.join(MASK_FORMATS)}; got --format {format}")
    bundle = open_model(model, open_registry(data))
    found = collect(scans, len(bundle.plan.channels), out)
    as_file = None if out.is_dir() else format_of(out)  # a name that is no mask's is a folder's
    if as_file and len(found) > 1:
        raise UsageError(f"--out {out} is one file, but there are {len(found)} scans; name a folder")
    if as_file and format not in (None, as_file):
        raise UsageError(
            f"--out {out} is called like a {as_file} file, but --format says {format}; name one of them alone"
        )
    refuse_overwriting(found, [out] if as_file else possible_files(found, out, format))
    predictor = load_predictor(bundle, choose_device(device), mode_of(precision))
    if as_file:
        _one(found[0], predictor, out)
    else:
        _many(found, predictor, f"{bundle.manifest.name} {bundle.manifest.weights_sha256[:12]}", out, format, resume)


def possible_files(scans: list[ScanFiles], out: Path, format: str | None) -> Iterator[Path]:
    """Every file that a batch may write; without a ``format`` the scans decide, which are not read yet."""
    from skipseg.models.scans.masks import MASK_FORMATS
    from skipseg.service.commands.results import RESULTS

    yield out / RESULTS
    suffixes = [form.suffix for name, form in MASK_FORMATS.items() if format in (None, name)]
    if format in (None, "nifti"):
        suffixes.append(".nii")  # of a scan that is not compressed
    for scan in scans:
        yield from (out / scan.name.with_name(scan.name.name + suffix) for suffix in suffixes)


def _one(scan: ScanFiles, predictor: Predictor, out: Path) -> None:
    from skipseg.models.memory import memory_permitting
    from skipseg.models.scans.masks import write_mask
    from skipseg.models.scans.reader import read_channels

    scan.check_channels(len(predictor.plan.channels))
    with memory_permitting():
        mask = predictor.segment(read_channels(scan.files))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_mask(mask, out)


def _many(
    scans: list[ScanFiles], predictor: Predictor, model: str, out: Path, format: str | None, resume: bool
) -> None:
    from skipseg.service.commands.batch import Batch
    from skipseg.service.commands.results import RESULTS

    with bar("segmenting") as progress:
        results = Batch(predictor, model, out, format).run(scans, resume, progress)
    failed = [result for result in results if result.state == "failed"]
    for result in failed:
        print(f"{result.scan}: {result.problem}", file=sys.stderr)
    print(f"{len(results) - len(failed)} of {len(results)} scans segmented; see {out / RESULTS}")
    raise typer.Exit(1 if failed else 0)
